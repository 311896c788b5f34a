/** The progress of a download, in megabytes. */
import type { DownloadEvents } from '../app/find-model.ts';
import type { Terminal } from './terminal.ts';

const MEGABYTE = 1_000_000;
/** A download below this is shown with one decimal. */
const SMALL_BYTES = 10 * MEGABYTE;

export function downloadBar(terminal: Terminal): Required<Pick<DownloadEvents, 'onProgress' | 'onEnd'>> {
  return {
    onProgress: (name, doneBytes, totalBytes) => {
      const decimals = totalBytes < SMALL_BYTES ? 1 : 0;
      const megabytes = (bytes: number): number => Number((bytes / MEGABYTE).toFixed(decimals));
      terminal.progress(name, {
        label: name,
        step: megabytes(doneBytes),
        steps: Math.max(0.1, megabytes(totalBytes)),
        unit: 'MB',
      });
    },
    onEnd: (name) => terminal.endProgress(name),
  };
}
