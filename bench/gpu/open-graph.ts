/** Opens graphs of the benchmark's models in each form, and makes their inputs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts';
import { readConfig } from '../../src/lib/config-rules.ts';
import { AUTOENCODER_KL } from '../../src/networks/autoencoder-kl.ts';
import type { NetworkClass } from '../../src/networks/network-class.ts';
import { pooledFeatures } from '../../src/networks/unet-2d-condition-config.ts';
import { UNET_2D_CONDITION_MODEL } from '../../src/networks/unet-2d-condition-model.ts';
import type { BuiltGraph, ComputeType } from '../../src/onnx/graph.ts';
import { type GraphForm, type GraphStyle, SPELLED_OUT_DOMAIN } from '../../src/onnx/graph-form.ts';
import type { Weights } from '../../src/onnx/weights.ts';
import type { HostTensor, HostTensors, Network, Runtime } from '../../src/runtime/contract.ts';
import { ONNX_RUNTIME } from '../../src/runtime/onnxruntime/onnx-runtime.ts';
import { float32 } from '../../src/runtime/tensors.ts';
import { benchModel, type ModelName } from './models.ts';
import { ensureModel } from './random-model.ts';
import type { Surroundings } from './step.ts';

const CLASSES = { unet: UNET_2D_CONDITION_MODEL as NetworkClass, vae: AUTOENCODER_KL as NetworkClass } as const;

export type Component = keyof typeof CLASSES;

/** Of a GPU. Graphs in float16 run on a CPU too; ONNX Runtime computes them in float32 there. */
export const HALF: ComputeType = 'float16';

/** ONNX Runtime through `onnxruntime-node`. */
export const BINDING: Runtime = ONNX_RUNTIME;

const TOKENS = 77;
const PIXELS_PER_LATENT = 8;

export interface WantedGraph {
  readonly model: ModelName;
  readonly component: Component;
  readonly form: GraphForm;
}

/** In float16, or in float32 where the configuration says that the network overflows. */
export async function graphOf(
  { model, component, form }: WantedGraph,
  surroundings: Surroundings,
): Promise<BuiltGraph> {
  const { weights, config } = await openComponent(model, component, surroundings);
  const network = CLASSES[component];
  const { latents } = benchModel(model, surroundings.isTiny);
  return network.build({
    config,
    weights,
    computeType: network.computeType(config, HALF),
    ...styleFor(form, surroundings.device),
    sizes: { batch: 1, height: latents, width: latents, tokens: TOKENS },
  });
}

/** On a CPU the fused operators are functions of the model. */
export function styleFor(form: GraphForm, device: string): GraphStyle {
  return device === 'cpu' ? { form, fusedDomain: SPELLED_OUT_DOMAIN } : { form };
}

interface OpenedComponent {
  readonly json: Readonly<Record<string, unknown>>;
  readonly config: unknown;
  readonly weights: Weights;
}

/** Makes the model where it is not there yet. */
export async function openComponent(
  model: ModelName,
  component: Component,
  surroundings: Surroundings,
): Promise<OpenedComponent> {
  const network = CLASSES[component];
  const folder = join(await ensureModel(model, surroundings), component);
  const json = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as OpenedComponent['json'];
  const { config } = readConfig(network, json, network.className);
  const weights = await openComponentWeights({ component, folder, baseName: network.weightsBaseName });
  return { json, config, weights };
}

export async function openOn(runtime: Runtime, graph: BuiltGraph, device: string): Promise<Network> {
  const { computeType } = graph;
  return await runtime.open(graph, { device, computeType, threads: 0, use: 'every-step', cache: { folder: null } });
}

/** sin(0), sin(1), …: numbers that Python makes as well. */
export function wave(shape: readonly number[]): HostTensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return float32(
    Float32Array.from({ length }, (_, index) => Math.sin(index)),
    shape,
  );
}

/** Outputs of a UNet that no image needs, unless it is generated with feature caching. */
export const UNREAD = ['feature'] as const;

/** Of one pass of a UNet. */
export function unetInputs(model: ModelName, batch: number, isTiny: boolean): HostTensors {
  const { latents, networks } = benchModel(model, isTiny);
  const { config } = readConfig(UNET_2D_CONDITION_MODEL, networks['unet']?.json ?? {}, 'unet');
  const pooled = pooledFeatures(config);
  const pixels = latents * PIXELS_PER_LATENT;
  const ids = Array.from({ length: batch }, () => [pixels, pixels, 0, 0, pixels, pixels]).flat();
  return {
    sample: wave([batch, config.in_channels, latents, latents]),
    timestep: float32(Float32Array.of(500), [1]),
    encoder_hidden_states: wave([batch, TOKENS, config.cross_attention_dim as number]),
    ...(pooled === undefined
      ? {}
      : { text_embeds: wave([batch, pooled]), time_ids: float32(Float32Array.from(ids), [batch, 6]) }),
  };
}

export function vaeInputs(model: ModelName, isTiny: boolean): HostTensors {
  const { latents } = benchModel(model, isTiny);
  return { latent_sample: wave([1, 4, latents, latents]) };
}

/** Where the results of one picture are kept, for comparing those of several forms and programs. */
export function outputsFolder(model: ModelName, { workFolder, isTiny }: Surroundings): string {
  const folder = join(workFolder, 'outputs', isTiny ? `${model}-tiny` : model);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** @param name what the table of differences calls it */
export function keepOutput(folder: string, name: string, values: Float32Array): void {
  writeFileSync(join(folder, `${name}.f32`), values);
}
