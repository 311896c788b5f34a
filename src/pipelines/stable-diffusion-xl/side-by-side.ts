/** Joins the embeddings of several text encoders token by token. */

/** @param parts [T, D] each, with their own D @param tokens T @returns [T, sum of D] */
export function sideBySide(parts: readonly Float32Array[], tokens: number): Float32Array {
  const width = parts.reduce((sum, part) => sum + part.length, 0) / tokens;
  const whole = new Float32Array(tokens * width);
  let offset = 0;
  for (const part of parts) {
    const own = part.length / tokens;
    for (let token = 0; token < tokens; token++)
      whole.set(part.subarray(token * own, (token + 1) * own), token * width + offset);
    offset += own;
  }
  return whole;
}
