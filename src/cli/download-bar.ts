/** The progress of a download. */
import type { DownloadEvents } from '../app/pull-model.ts';
import type { Terminal } from './terminal.ts';

export function downloadBar(terminal: Terminal): Required<Pick<DownloadEvents, 'onProgress' | 'onEnd'>> {
  return {
    onProgress: (name, doneBytes, totalBytes) =>
      terminal.progress(name, { label: name, step: doneBytes, steps: Math.max(1, totalBytes), unit: 'bytes' }),
    onEnd: (name) => terminal.endProgress(name),
  };
}
