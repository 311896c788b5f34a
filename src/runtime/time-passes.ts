/** Times one pass of a network on several runtimes, one after the other, so that only one of them is in memory. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { BuiltGraph } from '../onnx/graph.ts';
import { readPorts } from '../onnx/graph-ports.ts';
import type { HostTensor, HostTensors, Network, OpenOptions, Runtime } from './contract.ts';
import { float32, int32 } from './tensors.ts';

export interface Candidate {
  readonly runtime: Pick<Runtime, 'open'>;
  readonly graph: BuiltGraph;
}

export interface TimingOptions extends Pick<OpenOptions, 'device' | 'threads' | 'cache'> {
  /** Of the input at the model's default size, in latents. */
  readonly height: number;
  readonly width: number;
  /** Of all passes together. Opening the networks is not counted: they are opened anyway, or once. */
  readonly budgetMs: number;
}

export interface PassTimes {
  /** The sides of the measured input are the default ones divided by this. */
  readonly divisor: number;
  /** A pass of each candidate; undefined: it was not done in time. The first one always is. */
  readonly passMs: readonly [number, ...(number | undefined)[]];
}

/** The first size is small, because a pass at the default size may take longer than all that there is. */
const DIVISORS = [4, 2, 1] as const;
/** A pass takes longer by this factor where both sides double. Convolutions take 4 times as long, attention up to 16 times. */
const GROWTH = 5;

/**
 * The first candidate decides the size: the largest one at which each of the first two is done in time. Later ones, such as another compute type, are
 * measured in what is left of the time.
 * @throws what `open` and `run` throw
 */
export async function timePasses(
  [first, ...others]: readonly [Candidate, ...Candidate[]],
  options: TimingOptions,
): Promise<PassTimes> {
  const clock = new Budget(options.budgetMs);
  const { divisor, passMs } = await timeFirst(first, options, clock);
  const found: [number, ...(number | undefined)[]] = [passMs];
  for (const candidate of others) found.push(await timeOther(candidate, { options, clock, divisor }));
  return { divisor, passMs: found };
}

async function timeFirst(
  candidate: Candidate,
  options: TimingOptions,
  clock: Budget,
): Promise<{ readonly divisor: number; readonly passMs: number }> {
  await using network = await open(candidate, options);
  let found: { readonly divisor: number; readonly passMs: number } | undefined;
  for (const divisor of DIVISORS) {
    // The first run also wakes threads and takes memory.
    if (found === undefined) await clock.time(() => run(network, candidate, { options, divisor }));
    // This pass, and two of the next candidate.
    else if (found.passMs * GROWTH * 3 > clock.leftMs) break;
    const passMs = await clock.time(() => run(network, candidate, { options, divisor }));
    found = { divisor, passMs };
  }
  if (found === undefined) throw new Text2ImgError('internal', 'no pass was measured.');
  if (found.passMs * 3 > clock.leftMs) return found;
  const { divisor, passMs } = found;
  return { divisor, passMs: Math.min(passMs, await clock.time(() => run(network, candidate, { options, divisor }))) };
}

interface AtSize {
  readonly options: TimingOptions;
  readonly divisor: number;
}

async function timeOther(
  candidate: Candidate,
  { options, clock, divisor }: AtSize & { readonly clock: Budget },
): Promise<number | undefined> {
  if (clock.leftMs <= 0) return undefined;
  await using network = await open(candidate, options);
  const signal = AbortSignal.timeout(Math.ceil(clock.leftMs));
  try {
    const pass = (): Promise<unknown> => run(network, candidate, { options, divisor, signal });
    // A runtime may compile for a new size in the first run.
    await clock.time(pass);
    return await clock.time(pass);
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

async function open({ runtime, graph }: Candidate, { device, threads, cache }: TimingOptions): Promise<Network> {
  const { computeType } = graph;
  return await runtime.open(graph, {
    device,
    threads,
    computeType,
    use: 'every-step',
    ...(cache === undefined ? {} : { cache }),
  });
}

async function run(
  network: Network,
  { graph }: Candidate,
  { options, divisor, signal }: AtSize & { readonly signal?: AbortSignal },
): Promise<void> {
  const side = (size: number): number => Math.max(1, Math.round(size / divisor));
  await network.run(inputsOf(graph, { height: side(options.height), width: side(options.width) }), { signal });
}

/** Of a prompt of CLIP; the size of no input depends on the checkpoint otherwise. */
const SIZES: Readonly<Record<string, number>> = { batch: 1, tokens: 77 };

/** Numbers of the size that real ones have: sums that overflow or vanish may take another time. */
function inputsOf(graph: BuiltGraph, sizes: Readonly<Record<string, number>>): HostTensors {
  const inputs: Record<string, HostTensor> = {};
  for (const { name, type, dimensions } of readPorts(graph.model).inputs) {
    const shape = dimensions.map((size) => (typeof size === 'number' ? size : (sizes[size] ?? SIZES[size] ?? 1)));
    const count = shape.reduce((product, size) => product * size, 1);
    inputs[name] =
      type === 'int32'
        ? int32(new Int32Array(count).fill(1), shape)
        : float32(
            Float32Array.from({ length: count }, (_, index) => Math.sin(index + 1)),
            shape,
          );
  }
  return inputs;
}

/** Counts the time of what it runs. */
class Budget {
  #leftMs: number;

  constructor(budgetMs: number) {
    this.#leftMs = budgetMs;
  }

  get leftMs(): number {
    return this.#leftMs;
  }

  async time(action: () => Promise<unknown>): Promise<number> {
    const startMs = performance.now();
    try {
      await action();
      return performance.now() - startMs;
    } finally {
      this.#leftMs -= performance.now() - startMs;
    }
  }
}
