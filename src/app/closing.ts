/** Something that is closed at the end, but not waited for longer than it is worth. */
import { pause } from '../lib/pause.ts';

/** Nothing depends on how a connection is closed. */
const CLOSE_MS = 1500;

export function closing<T extends AsyncDisposable>(resource: T): AsyncDisposable & { readonly resource: T } {
  return {
    resource,
    [Symbol.asyncDispose]: () => Promise.race([resource[Symbol.asyncDispose](), pause(CLOSE_MS)]),
  };
}
