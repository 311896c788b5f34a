/** Measures prose by the rules of this project: short sentences, and one word for each thing. */

export interface Passage {
  /** Where it stands, for people: `docs/mongodb.md`, `run --help`. */
  readonly source: string;
  readonly text: string;
  /** A table's cell or an option's line: it counts for the longest sentence, not for the mean. */
  readonly isFragment?: boolean;
}

export interface ProseCounts {
  readonly sentences: number;
  readonly meanWords: number;
  /** Sentences over the limit, with their source and length. */
  readonly long: readonly string[];
  /** Words that another word stands for. */
  readonly forbidden: readonly string[];
}

export const MOST_WORDS = 25;

/** Never in prose; in code spans, flags and addresses they may stand, as parts of names. */
const FORBIDDEN: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\bpictures?\b/i, 'image'],
  [/\b(?:draw(?:s|n|ing)?|drew)\b/i, 'generate'],
  [/\bdrafts?\b/i, 'temporary file'],
  [/\bheartbeats?\b/i, 'health file, renew'],
  [/\bow(?:e|es|ed|ing)\b/i, 'pending'],
  [/\b(?:told|tells? of)\b/i, 'sent, reported'],
  [/\bhears? of\b/i, 'receives'],
  [/\b(?:graves?|bury|buried|story|stories)\b/i, 'plain words'],
  [/\b(?:died|dies|deaths?)\b/i, 'crash'],
  [/\bverdicts?\b/i, 'fail'],
  [/\b(?:gives?|given|gave|giving) up\b/i, 'fail'],
  [/\b(?:takes?|taken|took|taking) up again\b/i, 'retry'],
  [/\b(?:gives?|given|gave|giving) back\b/i, 'release'],
  [/\b(?:a|each|every|one|the|last|first|ten|another) (?:try|tries)\b(?! again)/i, 'attempt'],
  [/\bof (?:ours|our own|yours|your own)\b/i, 'our, your'],
  [/\b(?:is|are) to be\b/i, 'must, will'],
  [/\bin the moment of\b/i, 'when'],
  [/\b(?:whoever|whatever)\b/i, 'an actor'],
  [/^(?:what|who|where nobody)\b[^?]*$/i, 'an actor as the subject'],
  [/\bsome (?:ten|twenty|thirty|forty|fifty)\b/i, 'about'],
];

export function measureProse(passages: readonly Passage[]): ProseCounts {
  const long: string[] = [];
  const forbidden: string[] = [];
  const lengths: number[] = [];
  for (const { source, text, isFragment } of passages) {
    for (const sentence of sentencesOf(text)) {
      const { length } = wordsOf(sentence);
      if (length === 0) continue;
      if (isFragment !== true) lengths.push(length);
      if (length > MOST_WORDS) long.push(`${source}: ${length} words: ${sentence}`);
      for (const [pattern, instead] of FORBIDDEN) {
        const [word] = pattern.exec(sentence) ?? [];
        if (word !== undefined) forbidden.push(`${source}: "${word}" (write: ${instead}) in: ${sentence}`);
      }
    }
  }
  const total = lengths.reduce((sum, length) => sum + length, 0);
  return { sentences: lengths.length, meanWords: lengths.length === 0 ? 0 : total / lengths.length, long, forbidden };
}

/** The passages of a page in Markdown. Code blocks and the text behind links are left out; a code span is one word. */
export function passagesOf(source: string, markdown: string): readonly Passage[] {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```$/gm, '\n').replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1');
  const passages: Passage[] = [];
  for (const block of blocksOf(prose)) {
    if (/^#+ /.test(block)) passages.push({ source, text: block.replace(/^#+ /, ''), isFragment: true });
    else if (block.startsWith('|'))
      passages.push(...cellsOf(block).map((text) => ({ source, text, isFragment: true })));
    else passages.push({ source, text: block.replace(/^(?:[-*]|\d+\.) /, '') });
  }
  return passages;
}

/** Paragraphs, list entries, headings and rows of tables, each in one line. */
function blocksOf(prose: string): readonly string[] {
  return prose
    .split(/\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n(?=[#|])|(?<=^#.*)\n/m)
    .map((block) => block.replaceAll(/\s+/g, ' ').trim())
    .filter((block) => block !== '');
}

function cellsOf(row: string): readonly string[] {
  return row
    .split('|')
    .map((cell) => cell.trim())
    .filter((cell) => /[a-z]/i.test(cell));
}

/** Names become one word each, so that their letters and full stops count for nothing. */
function sentencesOf(text: string): readonly string[] {
  return (
    text
      .replaceAll(/`[^`]*`/g, 'CODE')
      .replaceAll(/"text2img [^"]*"/g, 'CODE')
      .replaceAll(/\b[a-z]+:\/\/\S+/g, 'CODE')
      .replaceAll(/--[a-z][\w-]*/g, 'CODE')
      // Lists of names are no prose.
      .replaceAll(/\bone of [\w, ]+/g, 'CODE')
      .replaceAll(/\*\*/g, '')
      .split(/(?<=[.!?]\)?["”]?)\s+(?=[A-Z0-9"“(–-])|(?<=[a-z]{2}[.!?])\s+|(?<=:)\s+(?=[A-Z])/)
      .map((sentence) => sentence.trim())
  );
}

function wordsOf(sentence: string): readonly string[] {
  return sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
}
