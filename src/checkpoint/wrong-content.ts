/** Recognises files of a checkpoint whose download went wrong: a pointer, a web page, an archive. */

/** So many bytes of the beginning are enough to tell. */
export const TELLTALE_BYTES = 512;

const TEXTS: readonly (readonly [pattern: RegExp, sentence: string])[] = [
  [
    /^version https:\/\/git-lfs\.github\.com\/spec\//,
    'is a git LFS pointer, not the file itself; "git lfs pull" in the checkpoint’s repository downloads it',
  ],
  [/^\/annex\/objects\//, 'is a git-annex pointer, not the file itself; "git annex get" downloads it'],
  [
    /^\s*(?:<!--[^>]*-->\s*)?<(?:!doctype\s+html|html|head|body)\b/i,
    'is a web page (HTML), not the file itself; download it again, signed in where the site asks for it',
  ],
  [/^\s*<\?xml\b/i, 'is an XML document, as servers send for an error; download it again'],
];

const SIGNATURES: readonly (readonly [bytes: readonly number[], sentence: string])[] = [
  [[0x50, 0x4b, 0x03, 0x04], 'is a zip archive, as PyTorch’s pickles are; a safetensors or JSON file is needed'],
  [[0x1f, 0x8b], 'is compressed with gzip; unpack it'],
];

/**
 * Names the content of a file, as the rest of a sentence that begins with its path. Undefined for any other content.
 * @param start the first `TELLTALE_BYTES` bytes, or all of a shorter file
 */
export function wrongContent(start: Uint8Array): string | undefined {
  if (start.length === 0) return 'is empty (0 bytes); download it again';
  const text = Buffer.from(start).toString('latin1').replace(/^ï»¿/, '');
  return (
    TEXTS.find(([pattern]) => pattern.test(text))?.[1] ??
    SIGNATURES.find(([bytes]) => bytes.every((byte, index) => start[index] === byte))?.[1]
  );
}
