/** ONNX Runtime's errors, in words for people: without the place in its own source. */

/** Its macros `ORT_ENFORCE` and `ORT_THROW` begin with file, line and signature (include/onnxruntime/core/common/code_location.h, exceptions.h). */
const PLACE = /\S+\.(?:cc|cpp|cu|cuh|h|hpp):\d+ /;
const FAILED_CONDITION = ' was false. ';
/** Text that may follow the parameters of a function. */
const AFTER_PARAMETERS = /^(?:::<lambda\([^)]*\)>| const| \[with [^\]]*\])+/;

/** Its CUDA provider goes on with the GPU's number, the host's name and its own source (core/providers/cuda/cuda_call.cc). */
const AFTER_CUDA = / ; GPU=-?\d+ ; .*$/;
/** The CUDA provider names two places. */
const MOST_PLACES = 3;

/** The first line, as far as it tells what happened. */
export function errorText(message: string): string {
  const [line = ''] = message.split('\n', 1);
  let said = line.replace(AFTER_CUDA, '');
  for (let places = 0; places < MOST_PLACES; places++) said = withoutPlace(said);
  return said;
}

function withoutPlace(line: string): string {
  const place = PLACE.exec(line);
  if (place === null) return line;
  const begin = line.slice(0, place.index);
  const rest = line.slice(place.index + place[0].length);
  const condition = rest.indexOf(FAILED_CONDITION);
  const said = condition === -1 ? rest.slice(signatureLength(rest)) : rest.slice(condition + FAILED_CONDITION.length);
  return said.trim() === '' ? line : `${begin}${said.trim()}`;
}

/** Up to the parenthesis that closes the parameters, and what belongs to the signature behind it. */
function signatureLength(text: string): number {
  let depth = 0;
  for (let index = text.indexOf('('); index >= 0 && index < text.length; index++) {
    if (text[index] === '(') depth++;
    if (text[index] !== ')' || --depth > 0) continue;
    const end = index + 1;
    return end + (AFTER_PARAMETERS.exec(text.slice(end))?.[0].length ?? 0);
  }
  return 0;
}
