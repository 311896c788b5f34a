/** `text2img setup cuda`: fetches what a GPU needs beside its driver. */
import { proxyEnvironment } from '../config/proxies.ts';
import { dataHome } from '../config/user-folders.ts';
import { CUDA_WHEELS } from '../runtime/onnxruntime/cuda/cuda-wheels.ts';
import { fetchCuda } from '../runtime/onnxruntime/cuda/fetch-cuda.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';

const MEGABYTE = 1_000_000;

export async function setupCuda(context: CommandContext): Promise<ExitCode> {
  const { logger, terminal } = context;
  const megabytes = Math.round(CUDA_WHEELS.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / MEGABYTE);
  logger.info('fetching the CUDA libraries, if they are not there yet', { megabytes, packages: CUDA_WHEELS.length });
  let current = '';
  const folder = await fetchCuda({
    dataHome: dataHome(),
    proxies: proxyEnvironment(),
    onProgress: (name, doneBytes, totalBytes) => {
      if (name !== current) terminal.endProgress(current);
      current = name;
      terminal.progress(name, {
        label: name,
        step: Math.round(doneBytes / MEGABYTE),
        steps: Math.max(1, Math.round(totalBytes / MEGABYTE)),
        stage: 'MB',
      });
    },
  });
  terminal.endProgress(current);
  printResult(context, { json: { folder }, text: folder });
  return 0;
}
