/** `text2img setup cuda` and `text2img setup openvino`: download the libraries that the package does not bring. */
import { dataHome } from '../config/user-folders.ts';
import { readProxies } from '../lib/proxies.ts';
import { CUDA_WHEELS } from '../runtime/onnxruntime/cuda/cuda-wheels.ts';
import { fetchCuda } from '../runtime/onnxruntime/cuda/fetch-cuda.ts';
import { fetchOpenvino } from '../runtime/openvino/fetch-openvino.ts';
import { OPENVINO_VERSION } from '../runtime/openvino/release.ts';
import type { DownloadOptions } from '../runtime/wheels/fetch-wheels.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';
import { downloadBar } from './download-bar.ts';

const MEGABYTE = 1_000_000;

export async function setup(context: CommandContext, action: string): Promise<ExitCode> {
  return action === 'openvino' ? await setupOpenvino(context) : await setupCuda(context);
}

async function setupCuda(context: CommandContext): Promise<ExitCode> {
  const { logger, environment } = context;
  const megabytes = Math.round(CUDA_WHEELS.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / MEGABYTE);
  let isThere = true;
  const folder = await withBar(context, (download) =>
    fetchCuda({
      ...download,
      dataHome: dataHome(environment),
      onBegin: () => {
        isThere = false;
        logger.info('downloading the CUDA libraries', { megabytes, packages: CUDA_WHEELS.length });
      },
    }),
  );
  if (isThere) logger.info('the CUDA libraries are there already');
  printResult(context, { json: { folder }, text: folder });
  return 0;
}

async function setupOpenvino(context: CommandContext): Promise<ExitCode> {
  const { logger, environment } = context;
  const { folder, result } = await withBar(context, (download) =>
    fetchOpenvino({
      ...download,
      dataHome: dataHome(environment),
      onBegin: ({ wheel }, problem) => {
        if (problem !== undefined) logger.warning('the OpenVINO libraries are broken', { problem });
        const megabytes = Math.round(wheel.sizeBytes / MEGABYTE);
        logger.info('downloading the OpenVINO libraries', { megabytes, version: OPENVINO_VERSION });
      },
    }),
  );
  if (result === 'present') logger.info('the OpenVINO libraries are there already', { version: OPENVINO_VERSION });
  printResult(context, { json: { folder, version: OPENVINO_VERSION, result }, text: folder });
  return 0;
}

async function withBar<T>(
  { config, terminal, environment }: CommandContext,
  fetch: (download: DownloadOptions) => Promise<T>,
): Promise<T> {
  const bar = downloadBar(terminal);
  let current = '';
  try {
    return await fetch({
      packagesUrl: config.packagesUrl?.replace(/\/*$/, '/'),
      proxies: readProxies(environment),
      onProgress: (name, doneBytes, totalBytes) => {
        if (name !== current) bar.onEnd(current);
        current = name;
        bar.onProgress(name, doneBytes, totalBytes);
      },
    });
  } finally {
    bar.onEnd(current);
  }
}
