/** `text2img health`: whether the worker of this machine is alive, by the age of its heartbeat file. For a container's health check. */
import { stat } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';

/** @throws `conflicting_options`, `worker_unhealthy` */
export async function health(context: CommandContext): Promise<ExitCode> {
  const { heartbeatFile, maxAge } = context.config;
  if (heartbeatFile === undefined)
    throw new Text2ImgError('conflicting_options', "health needs --heartbeat-file, the same as the worker's.");
  const facts = await stat(heartbeatFile).catch(() => undefined);
  const quoted = JSON.stringify(heartbeatFile);
  if (facts === undefined)
    throw new Text2ImgError('worker_unhealthy', `there is no heartbeat file ${quoted}: no worker has started.`);
  const ageSeconds = Math.max(0, (Date.now() - facts.mtimeMs) / 1000);
  if (ageSeconds > maxAge)
    throw new Text2ImgError(
      'worker_unhealthy',
      `the heartbeat file ${quoted} is ${ageSeconds.toFixed(0)} s old; allowed are ${maxAge} s.`,
    );
  printResult(context, { json: { healthy: true, ageSeconds }, text: `healthy, ${ageSeconds.toFixed(0)} s ago` });
  return 0;
}
