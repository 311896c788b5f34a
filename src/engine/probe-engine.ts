/** Generates one step at the model's default size, decoded, through the ordinary protocol: what the machine can do without any user's prompt. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { NO_LIMITS } from '../job/limits.ts';
import { resolveRequest } from '../job/resolve-request.ts';
import type { EngineHost } from './engine-host.ts';

/** The methods that a probe needs of an engine. */
type ProbedEngine = Pick<EngineHost, 'start' | 'generate' | 'kill'>;

let probes = 0;

/** @returns why the engine cannot be used; undefined: it can @throws never */
export async function probeEngine(engine: ProbedEngine): Promise<Text2ImgError | undefined> {
  try {
    const model = await engine.start();
    const request = resolveRequest(
      { prompt: '', numInferenceSteps: 1 },
      { defaults: {}, model, limits: NO_LIMITS, seed: 0 },
    );
    const jobId = `probe-${++probes}`;
    await engine.generate([{ jobId, request, images: [] }])[0];
    return undefined;
  } catch (raw) {
    const error = Text2ImgError.from(raw);
    // It answered, and what it said is about this image.
    if (error.consequence === 'fail') return undefined;
    // A device that was lost comes back with a new process at best.
    if (error.consequence === 'retry') engine.kill(error);
    return error;
  }
}
