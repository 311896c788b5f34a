/** `text2img health`: whether the worker of this machine is alive, by the age of its heartbeat file. For a container's health check. */
import { stat } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';

/** The file may lie on another machine's disk, whose clock differs a little. */
const CLOCK_TOLERANCE_S = 10;

/** @throws `conflicting_options`, `worker_unhealthy` */
export async function health(context: CommandContext): Promise<ExitCode> {
  const { heartbeatFile, maxAge } = context.config;
  if (heartbeatFile === undefined)
    throw new Text2ImgError('conflicting_options', "health needs --heartbeat-file, the same as the worker's.");
  const ageSeconds = await ageOf(heartbeatFile);
  if (ageSeconds > maxAge)
    throw new Text2ImgError(
      'worker_unhealthy',
      `the heartbeat file ${quote(heartbeatFile)} is ${ageSeconds.toFixed(0)} s old; allowed are ${maxAge} s.`,
    );
  printResult(context, { json: { healthy: true, ageSeconds }, text: `healthy, ${ageSeconds.toFixed(0)} s ago` });
  return 0;
}

/** @throws `worker_unhealthy` when there is none, and when its time says nothing about its age */
async function ageOf(path: string): Promise<number> {
  const facts = await stat(path).catch(() => undefined);
  const quoted = quote(path);
  if (facts === undefined)
    throw new Text2ImgError('worker_unhealthy', `there is no heartbeat file ${quoted}: no worker has started.`);
  if (!facts.isFile())
    throw new Text2ImgError('worker_unhealthy', `the heartbeat file ${quoted} is no plain file: no worker writes it.`);
  const ageSeconds = (Date.now() - facts.mtimeMs) / 1000;
  if (ageSeconds < -CLOCK_TOLERANCE_S)
    throw new Text2ImgError(
      'worker_unhealthy',
      `the heartbeat file ${quoted} is dated ${(-ageSeconds).toFixed(0)} s in the future, so its age is unknown; a running worker corrects it within seconds.`,
    );
  return Math.max(0, ageSeconds);
}
