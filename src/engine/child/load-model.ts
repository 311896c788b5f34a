/** Makes a checkpoint ready: reads it, chooses the device, and lets its family open its networks and make its pipeline. Runs in the engine child. */
import type { Checkpoint, CheckpointNetwork } from '../../checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../checkpoint/open-checkpoint.ts';
import { openPreviewVae, PREVIEW_VAE } from '../../checkpoint/open-vae.ts';
import type { ModelFacts } from '../../job/model-facts.ts';
import { own as ownValue } from '../../lib/foreign-record.ts';
import { freeMemoryBytes, freeMemoryForAllBytes } from '../../lib/free-memory.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { BuiltGraph } from '../../onnx/graph.ts';
import type { WeightType } from '../../onnx/weight-type.ts';
import type { Pipeline } from '../../pipelines/contract.ts';
import type { Family } from '../../pipelines/family.ts';
import { needsAtDefaultSize } from '../../pipelines/memory-need.ts';
import { buildGraph, proveFit, type WantedGraph } from '../../pipelines/prove-fit.ts';
import { type ChosenDevice, chooseDevice } from '../../runtime/choose-device.ts';
import { digestFile, identityOf } from '../../runtime/file-digest.ts';
import type { Runtime } from '../../runtime/contract.ts';
import { RUNTIMES } from '../../runtime/registry.ts';
import type { EngineSettings } from '../protocol.ts';
import { chooseForm } from './choose-form.ts';
import { checkRuntime, type ChosenRuntime, chooseRuntime, type MeasuredNetwork } from './choose-runtime.ts';
import { mostImages } from './batch-size.ts';
import { residencyOfAll } from './engines-fit.ts';
import { keepToCpus } from './keep-to-cpus.ts';
import { hashInBackground, knownModelHash, modelHashOf } from './model-hash.ts';
import type { DeviceMeter } from './memory-budget.ts';
import { requireLargest, takeTurns } from './one-at-a-time.ts';
import { NetworkOpener } from './open-networks.ts';

export interface LoadedModel extends AsyncDisposable {
  readonly pipeline: Pipeline;
  readonly facts: ModelFacts;
  /** Where the model's hash is not known yet: finds it out beside everything else. */
  readonly hashLater: ((onHash: (modelHash: string) => void) => void) | undefined;
}

/**
 * Every component is compared with every other before any weight is loaded.
 * @param families the checkpoint may belong to
 * @param runtimes the preferred one first
 * @throws every code of `openCheckpoint`, `proveFit` and `Family.load`, `invalid_option`, `device_unavailable`, `out_of_memory`, `runtime_unavailable`
 */
export async function loadModel(
  settings: EngineSettings,
  families: readonly Family[],
  runtimes: readonly [Runtime, ...Runtime[]] = RUNTIMES,
): Promise<LoadedModel> {
  const startMs = performance.now();
  const {
    checkpointFolder,
    variant,
    predictionType,
    vae,
    previewVae,
    compileCacheFolder: folder,
    verifyCache: verify,
  } = settings;
  const spread = settings.cpus === undefined ? undefined : await notKept(settings.cpus);
  const own = await openCheckpoint(checkpointFolder, {
    families,
    ...omitUndefined({ variant: variant ?? undefined, predictionType, vae: vae?.path }),
  });
  const preview = previewVae === undefined ? undefined : await openPreviewVae(previewVae.path, families);
  const checkpoint = withPreview(own, preview);
  const { deterministic = false } = settings;
  const device = await chooseDevice(runtimes, checkRuntime(settings), dtypeOf(settings));
  const { computeType } = device;
  const { weights: weightType = 'float' } = settings;
  const isOnCpu = device.kind === 'cpu';
  const onGpu = isOnCpu ? undefined : await chooseRuntime(settings, { device, network: undefined });
  const { form, warning: formWarning } = await chooseForm({ ...device, ...onGpu }, settings);
  const proved = proveFit(checkpoint, computeType, { weightType, form });
  // A GPU has memory of its own, which not every runtime knows.
  const deviceMemory = isOnCpu ? undefined : device.runtime.memory?.(device.device);
  const memory = {
    needs: isOnCpu || deviceMemory !== undefined ? needsAtDefaultSize(checkpoint, { computeType, weightType }) : [],
    freeBytes: isOnCpu ? freeMemoryBytes() : deviceMemory?.freeBytes,
    ...(isOnCpu ? {} : { device: device.device }),
  };
  // Before a measurement opens a network.
  requireLargest(memory);
  const network = measuredNetwork(checkpoint, weightType);
  const chosen = onGpu ?? (await chooseRuntime(settings, { device, network }));
  const { lowMemory, note } = residencyOfAll({
    needs: memory.needs,
    freeBytes: isOnCpu ? freeMemoryForAllBytes() : undefined,
    engines: settings.sharers ?? 1,
    lowMemory: settings.lowMemory === 'auto' && !isOnCpu ? 'off' : settings.lowMemory,
    hasMappedWeights: folder !== null && chosen.runtime.sharesCachedWeights === true,
  });
  const turns = takeTurns({ ...memory, lowMemory });
  const livingAt = (component: string, wanted: WantedGraph): number =>
    buildGraph(checkpoint, component, { form, ...wanted, weightType }).activationBytes;
  await using stack = new AsyncDisposableStack();
  const opener = stack.use(
    new NetworkOpener({
      runtime: chosen.runtime,
      device: device.device,
      deviceName: device.name,
      computeType,
      graphOf: (component, wanted) => {
        const isProved = wanted.computeType === computeType && wanted.graph === undefined && wanted.form === undefined;
        return (
          (isProved ? ownValue(proved, component) : undefined) ??
          buildGraph(checkpoint, component, { form, ...wanted, weightType })
        );
      },
      threads: settings.threads,
      deterministic,
      cache: { folder, verify, limitBytes: settings.compileCacheBytes },
      oneAtATime: turns !== false,
      ...(isOnCpu ? { memory: { livingAt } } : {}),
      ...(deviceMemory === undefined ? {} : { memory: { livingAt, device: meterOf(device.runtime, device.device) } }),
    }),
  );
  const family: Family = checkpoint.family;
  const pipeline = stack.use(
    await family.load(checkpoint, {
      open: opener.open,
      upload: opener.upload,
      ...(isOnCpu || deviceMemory !== undefined ? { shortage: opener.shortage } : {}),
      // By turns with the other networks, each preview would load them anew.
      ...(turns === false ? omitUndefined({ preview }) : {}),
      settings: { computeType, vaeTiling: settings.vaeTiling },
    }),
  );
  const notPreviewed =
    turns === false || preview === undefined
      ? undefined
      : 'Previews are made without --preview-vae, because one network at a time is in memory.';
  const { modelHash, hashLater } = await hashOf(checkpoint, family.hashedNetwork, { folder, verify });
  const facts = factsOf({
    checkpoint,
    family,
    modelHash,
    modelName: settings.modelName ?? checkpoint.modelName,
    ...omitUndefined({ vaeName: vae?.name }),
    device,
    chosen,
    ...omitUndefined({ weights: weightTypeOf(proved) }),
    ...(isOnCpu ? {} : { form }),
    lowMemory: turns !== false,
    maxBatchImages: isOnCpu ? 1 : mostImages(checkpoint, deviceMemory === undefined ? undefined : opener.shortage),
    warnings: [
      ...checkpoint.warnings,
      device.warning,
      chosen.warning,
      formWarning,
      turns,
      note,
      spread,
      notPreviewed,
      ...opener.notes,
    ].filter((note) => typeof note === 'string'),
    loadMs: performance.now() - startMs,
  });
  const resources = stack.move();
  return { pipeline, facts, hashLater, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** The TAESD of previews is built, proved and weighed like the checkpoint's own networks. */
function withPreview<Opened extends Checkpoint>(checkpoint: Opened, preview: CheckpointNetwork | undefined): Opened {
  if (preview === undefined) return checkpoint;
  return { ...checkpoint, networks: { ...checkpoint.networks, [PREVIEW_VAE]: preview } };
}

/** Of all autoencoders of full size. With another one the measured size is a little off, and both runtimes are measured at the same. */
const LATENT_PX = 8;

/** The driver may not answer for a while. */
function meterOf(runtime: Runtime, device: string): DeviceMeter {
  return { memory: () => runtime.memory?.(device) };
}

/** undefined: no layer has 8-bit weights, because nobody asked for them or none could have them. */
function weightTypeOf(graphs: Readonly<Record<string, BuiltGraph | undefined>>): 'int8' | undefined {
  return Object.values(graphs).find((graph) => graph?.weightType === 'int8')?.weightType;
}

/** The denoising network, at the model's default size. */
function measuredNetwork(
  checkpoint: Checkpoint & { readonly family: Family },
  weightType: WeightType,
): MeasuredNetwork | undefined {
  const { family } = checkpoint;
  const name = family.hashedNetwork;
  if (name === undefined || ownValue(checkpoint.networks, name) === undefined) return undefined;
  const { defaultWidthPx, defaultHeightPx } = family.facts(checkpoint);
  return {
    graphFor: (computeType) => buildGraph(checkpoint, name, { computeType, weightType }),
    width: Math.round(defaultWidthPx / LATENT_PX),
    height: Math.round(defaultHeightPx / LATENT_PX),
    pixels: LATENT_PX,
  };
}

/** A GPU takes float16 by itself; `--deterministic` asks for float32. */
function dtypeOf({ dtype, deterministic = false }: EngineSettings): EngineSettings['dtype'] {
  return deterministic && dtype === 'auto' ? 'float32' : dtype;
}

/** A sentence for the log where the engine cannot keep to its cores. */
async function notKept(cpus: string): Promise<string | undefined> {
  const problem = await keepToCpus(cpus);
  if (problem === undefined) return undefined;
  return `The engine cannot keep to the cores ${cpus}: ${problem}. It runs on all cores, which may be slower.`;
}

/** Hashed within 0.1 s (0.4 GB/s). So the images of a small model carry its hash from the first one on, and `--from` makes the same bytes. */
const HASHED_AT_ONCE_BYTES = 40_000_000;

/** Of the denoising network's weights. */
async function hashOf(
  { networks }: Checkpoint,
  hashedNetwork: string | undefined,
  memory: Parameters<typeof knownModelHash>[1],
): Promise<Pick<LoadedModel, 'hashLater'> & { readonly modelHash: string | null }> {
  const weights = hashedNetwork === undefined ? undefined : ownValue(networks, hashedNetwork)?.weights;
  if (weights === undefined) return { modelHash: null, hashLater: undefined };
  const files = new Set(Array.from(weights.names(), (name) => weights.place(name).file));
  const known = await knownModelHash(files, memory);
  const [path] = files;
  if (known !== undefined || path === undefined) return { modelHash: known ?? null, hashLater: undefined };
  const file = { path, identity: await identityOf(path) };
  if (Number(file.identity.sizeBytes) <= HASHED_AT_ONCE_BYTES)
    return { modelHash: modelHashOf((await digestFile(path)).sha256), hashLater: undefined };
  return { modelHash: null, hashLater: (onHash) => hashInBackground(file, memory, onHash) };
}

interface Findings
  extends Pick<
    ModelFacts,
    'modelHash' | 'modelName' | 'vaeName' | 'weights' | 'form' | 'lowMemory' | 'maxBatchImages' | 'warnings' | 'loadMs'
  > {
  readonly checkpoint: Checkpoint;
  readonly family: Family;
  readonly device: ChosenDevice<unknown>;
  readonly chosen: ChosenRuntime;
}

function factsOf({ checkpoint, family, device, chosen, loadMs, ...found }: Findings): ModelFacts {
  const { unreadFields = [], ...facts } = family.facts(checkpoint);
  return {
    ...found,
    defaults: {},
    ...facts,
    pipelineClass: checkpoint.index.pipelineClass,
    fields: family.fields.filter((name) => !unreadFields.includes(name)),
    device: device.device,
    ...omitUndefined({ deviceName: device.name }),
    deviceReason: device.reason,
    ...omitUndefined({ deviceDetail: device.detail }),
    dtype: device.computeType,
    runtime: chosen.runtime.name,
    runtimeReason: chosen.reason,
    loadMs: Math.round(loadMs),
    details: [...checkpoint.details],
  };
}
