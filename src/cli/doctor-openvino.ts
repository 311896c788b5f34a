/** The check of OpenVINO by `text2img doctor`: its libraries, what it computes in here, and what was measured for the model. */
import { findModel } from '../app/find-model.ts';
import { modelSettings } from '../app/settings.ts';
import { DEFAULT_PRODUCTION_MODEL } from '../config/hub.ts';
import type { Mode } from '../config/mode.ts';
import { compileCacheFolder, dataHome } from '../config/user-folders.ts';
import type { DoctorFinding } from '../engine/doctor-probes.ts';
import { own } from '../lib/foreign-record.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { openvinoLibraryFolder } from '../runtime/openvino/library-folder.ts';
import { verifyLibraries } from '../runtime/openvino/verify-libraries.ts';
import type { CommandContext } from './command-context.ts';

const NAME = 'openvino';
const SETUP = 'run "text2img setup openvino"';

/** @param engineEnvironment of the process that tries it @param mode undefined: no model is looked for */
export async function inspectOpenvino(
  context: CommandContext,
  engineEnvironment: CommandContext['environment'],
  mode: Mode | undefined,
): Promise<DoctorFinding> {
  const folder = openvinoLibraryFolder(dataHome(context.environment));
  const libraries = await verifyLibraries(folder);
  const { hasBfloat16 } = await import('../runtime/openvino/bfloat16.ts');
  switch (libraries.state) {
    case 'unsupported':
      return { name: NAME, status: 'missing', detail: 'it is not used on this system' };
    case 'missing': {
      const half = hasBfloat16() ? '; with --dtype bfloat16 it is much faster on this processor' : '';
      return { name: NAME, status: 'missing', detail: 'it is not set up', advice: `${SETUP} for a CPU${half}` };
    }
    case 'broken':
      return { name: NAME, status: 'problem', detail: libraries.problem, advice: SETUP };
    case 'good':
      break;
  }
  const { openvinoIn } = await import('../runtime/registry.ts');
  const [report] = await openvinoIn(folder).devices({ only: 'cpu', environment: engineEnvironment });
  const types = report?.computeTypes ?? [];
  if (types.length === 0)
    return {
      name: NAME,
      status: 'problem',
      detail: report?.problem ?? 'it does not answer',
      advice: `${SETUP}; then npm install, if koffi is missing`,
    };
  const works = `works in ${types.join(' and ')}`;
  const measured = mode === undefined ? undefined : await timesOfModel(context, mode).catch(() => undefined);
  if (measured !== undefined) return { name: NAME, status: 'ok', detail: `${works}; ${measured}` };
  const hint = types.includes('bfloat16') ? '; --dtype bfloat16 is faster, and changes the images' : '';
  return { name: NAME, status: 'ok', detail: `${works}; not measured for this model yet${hint}` };
}

/** undefined: it was not measured, or there is no cache @throws what looking for the model throws */
async function timesOfModel({ config, environment, logger }: CommandContext, mode: Mode): Promise<string | undefined> {
  const folder = compileCacheFolder(config, environment);
  if (folder === null) return undefined;
  const defaultModel = mode.kind === 'production' ? DEFAULT_PRODUCTION_MODEL : undefined;
  const found = await findModel(modelSettings(config, { defaultModel, environment }), { logger, cacheOnly: true });
  const { openCheckpoint } = await import('../checkpoint/open-checkpoint.ts');
  const { buildGraph } = await import('../pipelines/prove-fit.ts');
  const { FAMILIES } = await import('../pipelines/registry.ts');
  const { measurementPath, readMeasurement, timesText, isOpenvinoFaster } = await import(
    '../runtime/runtime-measurements.ts'
  );
  const { predictionType } = found;
  const checkpoint = await openCheckpoint(found.folder, {
    families: FAMILIES,
    ...omitUndefined({ variant: config.variant, predictionType }),
  });
  const name = checkpoint.family.hashedNetwork ?? '';
  if (own(checkpoint.networks, name) === undefined) return undefined;
  const graph = buildGraph(checkpoint, name, { computeType: 'float32', weightType: config.weights });
  const { times } = (await readMeasurement(measurementPath(folder, graph, config.threads))) ?? {};
  if (times === undefined) return undefined;
  const chosen = isOpenvinoFaster(times) ? 'OpenVINO' : 'ONNX Runtime';
  const { openvino_bfloat16_ms: half, onnxruntime_ms: onnx, openvino_ms: openvino = Infinity } = times;
  const factor = half === undefined ? 0 : Math.min(onnx, openvino) / half;
  const advice =
    factor >= 1.1 ? `; --dtype bfloat16 is ${factor.toFixed(2)} times as fast, and changes the images a little` : '';
  return `auto takes ${chosen}: ${timesText(times)}${advice}`;
}
