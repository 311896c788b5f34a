/** The package koffi, which calls C libraries from Node: loaded once for all runtimes that use it. */
import type { default as Koffi } from 'koffi';

/**
 * koffi runs a call on a stack of its own. By default that is 1 MB for a call that waits, and 128 kB for one on another thread. CUDA's libraries need more: on an
 * H100 a run on such a thread ended its process with a segmentation fault. The system gives memory only to the pages that are used.
 */
const STACK_BYTES = 8 * 1024 * 1024;

let loaded: Promise<typeof Koffi> | undefined;

/** @throws where the optional package is not installed, or has no binary for this system */
export async function loadKoffi(): Promise<typeof Koffi> {
  loaded ??= import('koffi').then(({ default: koffi }) => {
    // Possible only before the first library is loaded.
    koffi.config({ sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES });
    return koffi;
  });
  // It may be installed meanwhile.
  loaded.catch(() => (loaded = undefined));
  return await loaded;
}
