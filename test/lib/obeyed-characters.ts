/** Settled once for the whole project: the characters that a terminal or a reader of lines obeys. Wherever foreign text leaves, each is written as \u…. */
export const OBEYED_RANGES = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0x61c, 0x61c],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2066, 0x2069],
] as const;

/** Half of a character each. */
export const LONE_SURROGATES = ['\ud83e', '\udd8a'] as const;

export const OBEYED: readonly string[] = OBEYED_RANGES.flatMap(([from, to]) =>
  Array.from({ length: to - from + 1 }, (_, index) => String.fromCharCode(from + index)),
);
