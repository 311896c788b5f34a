/** `repeat-child.ts WHAT TIMES`: does something many times through the C API, and prints how many bytes `RssAnon` grew meanwhile. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openComponentWeights } from '../../../src/checkpoint/component-weights.ts';
import { type BuiltGraph, GraphBuilder } from '../../../src/onnx/graph.ts';
import { ONNX_RUNTIME_C } from '../../../src/runtime/registry.ts';
import { float32, isOnDevice } from '../../../src/runtime/tensors.ts';
import { writeTensors } from '../../checkpoint/checkpoint-copies.ts';
import { openOnCpu } from '../open-on-cpu.ts';
import { openCaptured } from './open-captured.ts';
import type { Repeated } from './grown-bytes.ts';

const [, , what, times] = process.argv as unknown as [string, string, Repeated, string];
const SIDE = 512;
const X = float32(new Float32Array(SIDE * SIDE).fill(0.5), [SIDE, SIDE]);

/** `y = x + w`, each of them a megabyte. */
async function graphIn(folder: string): Promise<BuiltGraph> {
  await mkdir(folder, { recursive: true });
  const data = Buffer.from(new Float32Array(SIDE * SIDE).fill(1).buffer);
  writeTensors(join(folder, 'model.safetensors'), new Map([['w', { dtype: 'F32', shape: [SIDE, SIDE], data }]]));
  const weights = await openComponentWeights({ component: 'unet', folder, baseName: 'model' });
  const g = new GraphBuilder(weights, 'float32');
  const x = g.input('x', 'float32', ['n', 'm'], [SIDE, SIDE]);
  g.output('y', g.node('Add', [x, g.weight('w', [SIDE, SIDE])], { shape: [SIDE, SIDE] }), ['n', 'm']);
  return g.build('sum');
}

async function anonymousBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return 1024 * Number(/^RssAnon:\s*(\d+) kB$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1]);
}

const folder = await mkdtemp(join(tmpdir(), 'text2img-c-repeat-'));
try {
  const graph = await graphIn(folder);
  await using network = await openOnCpu(graph, undefined, ONNX_RUNTIME_C);
  using captured = await openCaptured(graph, ['y'], 2);
  const once: Readonly<Record<Repeated, () => Promise<void>>> = {
    runs: async () => void (await network.run({ x: X })),
    'kept outputs': async () => {
      const { y } = await network.run({ x: X }, { keep: ['y'] });
      assert.ok(y !== undefined && isOnDevice(y));
      await network.run({ x: y });
      y[Symbol.dispose]();
    },
    failures: () => assert.rejects(network.run({ z: X })),
    'cancelled runs': async () => {
      const controller = new AbortController();
      const run = network.run({ x: X }, { keep: ['y'], signal: controller.signal });
      setImmediate(() => controller.abort());
      const outputs = await run.catch(() => ({}));
      for (const tensor of Object.values(outputs)) if (isOnDevice(tensor)) tensor[Symbol.dispose]();
    },
    openings: async () => {
      await using other = await openOnCpu(graph, undefined, ONNX_RUNTIME_C);
      await other.run({ x: X });
    },
    'captured runs': async () => void (await captured.run({ x: X })),
  };
  const repeat = async (count: number): Promise<void> => {
    for (let k = 0; k < count; k++) {
      await once[what]();
      // Arrays of JavaScript that nobody needs are garbage, not a leak.
      if (k % 50 === 49) await anonymousBytes();
    }
  };
  await repeat(100);
  const before = await anonymousBytes();
  await repeat(Number(times));
  process.stdout.write(String((await anonymousBytes()) - before));
} finally {
  await rm(folder, { recursive: true, force: true });
}
