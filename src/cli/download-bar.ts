/** The progress bar of a download. */
import type { DownloadEvents } from '../app/find-model.ts';
import type { Terminal } from './terminal.ts';

const MEGABYTE = 1_000_000;

export function downloadBar(terminal: Terminal): Required<Pick<DownloadEvents, 'onProgress' | 'onEnd'>> {
  return {
    onProgress: (name, doneBytes, totalBytes) =>
      terminal.progress(name, {
        label: name,
        step: Math.round(doneBytes / MEGABYTE),
        steps: Math.max(1, Math.round(totalBytes / MEGABYTE)),
        stage: 'MB',
      }),
    onEnd: (name) => terminal.endProgress(name),
  };
}
