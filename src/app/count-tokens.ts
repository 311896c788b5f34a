/** Counts the tokens of prompts with CLIP's tokenizer as the package brings it. The server states them as `usage`. */
import { setImmediate as untilOthersRan } from 'node:timers/promises';
import type { ClipTokenizer } from '../pipelines/parts/clip-tokenizer.ts';

/**
 * The server does nothing else meanwhile. Measured: a word of 64 kB takes 530 ms, in pieces of this length about 20 ms each.
 * Only words that are longer are counted in parts, which may give a token more.
 */
const PIECE_LENGTH = 2000;

/** @returns a function that reads the vocabulary when it is first called */
export function clipTokenCounter(): (text: string) => Promise<number> {
  let tokenizer: Promise<ClipTokenizer> | undefined;
  return async (text) => {
    tokenizer ??= packagedTokenizer();
    const clip = await tokenizer;
    let tokens = 0;
    for (const piece of piecesOf(text)) {
      if (tokens > 0) await untilOthersRan();
      tokens += clip.count(piece);
    }
    return tokens;
  };
}

/** Only a server that is asked for images needs the tokenizer's package. */
async function packagedTokenizer(): Promise<ClipTokenizer> {
  const [{ packagedClipTokenizer }, { ClipTokenizer: Tokenizer }] = await Promise.all([
    import('../checkpoint/single-file/clip-vocabulary.ts'),
    import('../pipelines/parts/clip-tokenizer.ts'),
  ]);
  return new Tokenizer(await packagedClipTokenizer('<|endoftext|>'));
}

/** Cut at blanks, where there are any. */
function* piecesOf(text: string): Generator<string> {
  for (let begin = 0; begin < text.length; ) {
    const last = begin + PIECE_LENGTH;
    const blank = last >= text.length ? -1 : text.lastIndexOf(' ', last);
    const end = blank > begin ? blank : last;
    yield text.slice(begin, end);
    begin = end;
  }
}
