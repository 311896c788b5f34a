/** `text2img setup cuda`: fetches what a GPU needs beside its driver. */
import { readProxies } from '../lib/proxies.ts';
import { dataHome } from '../config/user-folders.ts';
import { CUDA_WHEELS } from '../runtime/onnxruntime/cuda/cuda-wheels.ts';
import { fetchCuda } from '../runtime/onnxruntime/cuda/fetch-cuda.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';
import { downloadBar } from './download-bar.ts';

const MEGABYTE = 1_000_000;

export async function setupCuda(context: CommandContext): Promise<ExitCode> {
  const { logger, terminal, environment } = context;
  const megabytes = Math.round(CUDA_WHEELS.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / MEGABYTE);
  logger.info('downloading the CUDA libraries', { megabytes, packages: CUDA_WHEELS.length });
  const bar = downloadBar(terminal);
  let current = '';
  const folder = await fetchCuda({
    dataHome: dataHome(environment),
    proxies: readProxies(environment),
    onProgress: (name, doneBytes, totalBytes) => {
      if (name !== current) bar.onEnd(current);
      current = name;
      bar.onProgress(name, doneBytes, totalBytes);
    },
  });
  bar.onEnd(current);
  printResult(context, { json: { folder }, text: folder });
  return 0;
}
