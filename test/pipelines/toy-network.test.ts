/**
 * A network class and a family that nothing in `src/` knows: one linear layer. What stands in this file is all that a new one needs to be found in a
 * repository, opened, named, proved, built and run.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import type { ComponentSpec } from '../../src/checkpoint/component-spec.ts';
import { neededFiles } from '../../src/checkpoint/hub/needed-files.ts';
import { readModelIndex } from '../../src/checkpoint/model-index.ts';
import { openCheckpoint, type OpenedCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { count } from '../../src/lib/config-rules.ts';
import { linear } from '../../src/networks/layers/primitives.ts';
import type { NetworkClass } from '../../src/networks/network-class.ts';
import { GraphBuilder } from '../../src/onnx/graph.ts';
import { buildGraph, proveFit } from '../../src/pipelines/prove-fit.ts';
import { float32, floatsOf } from '../../src/runtime/tensors.ts';
import { type StoredTensor, writeTensors } from '../checkpoint/checkpoint-copies.ts';
import { runGraph } from '../networks/vectors.ts';

const schema = z.object({ in_features: count, out_features: count, overflows: z.boolean().default(false) });
type ProjectorConfig = z.infer<typeof schema>;

const PROJECTOR: NetworkClass<ProjectorConfig> = {
  className: 'ToyProjector',
  rules: {
    implemented: schema,
    implementedKeys: Object.keys(schema.shape),
    withoutEffect: { dropout: 'training only' },
    onlyDefault: { activation: [null] },
  },
  weightsBaseName: 'diffusion_pytorch_model',
  tensorName: (stored) => stored.replace(/^old\./, 'projection.'),
  computeType: ({ overflows }, wanted) => (overflows ? 'float32' : wanted),
  build: ({ config, weights, computeType }) => {
    const g = new GraphBuilder(weights, computeType);
    const x = g.input('x', 'float32', ['batch', config.in_features], [1, config.in_features]);
    const y = linear(g, g.cast(x, computeType), 'projection', { outFeatures: config.out_features });
    g.output('y', y, ['batch', config.out_features]);
    return g.build('ToyProjector');
  },
  moreGraphs: {
    /** y → x, with weights that not every checkpoint has. */
    back: {
      build: ({ config, weights, computeType }) => {
        const g = new GraphBuilder(weights, computeType);
        const y = g.input('y', 'float32', ['batch', config.out_features], [1, config.out_features]);
        g.output('x', linear(g, y, 'back', { outFeatures: config.in_features }), ['batch', config.in_features]);
        return g.build('ToyProjectorBack');
      },
    },
  },
};

const COMPONENTS = [
  { kind: 'network', name: 'first', classes: [PROJECTOR] },
  { kind: 'network', name: 'second', classes: [PROJECTOR] },
  { kind: 'network', name: 'third', classes: [PROJECTOR], optional: true },
  { kind: 'ignored', name: 'watermark', warning: 'The toy’s watermark is not made.' },
] as const satisfies readonly ComponentSpec[];

const TOY = {
  classes: ['ToyPipeline'],
  components: COMPONENTS,
  prove: ({ networks: { first, second } }: Checkpoint<typeof COMPONENTS>) => {
    if (first.config.out_features === second.config.in_features) return;
    throw new Text2ImgError('invalid_config', `${second.configPath}: "in_features" is ${second.config.in_features}.`);
  },
} as const;

function numbers(shape: readonly number[], values: readonly number[]): StoredTensor {
  return { dtype: 'F32', shape, data: Buffer.from(Float32Array.from(values).buffer) };
}

interface ToyChanges {
  readonly index?: Readonly<Record<string, unknown>>;
  readonly second?: Readonly<Record<string, unknown>>;
  /** Under which the tensors of `first` are stored. */
  readonly prefix?: string;
  /** Of `second`. */
  readonly bias?: number;
}

/** `first` doubles and adds one, from 2 features to 2; `second` sums them. */
function toyFolder(t: TestContext, { index = {}, second = {}, prefix = 'old', bias = 0 }: ToyChanges = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-toy-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const component = (name: string, config: object, tensors: Readonly<Record<string, StoredTensor>>): void => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'config.json'), JSON.stringify(config));
    const path = join(folder, name, 'diffusion_pytorch_model.safetensors');
    writeTensors(path, new Map(Object.entries(tensors)));
  };
  component(
    'first',
    { in_features: 2, out_features: 2, activation: null, dropout: 0.5 },
    { [`${prefix}.weight`]: numbers([2, 2], [2, 0, 0, 2]), [`${prefix}.bias`]: numbers([2], [1, 1]) },
  );
  component(
    'second',
    { in_features: 2, out_features: 1, ...second },
    {
      'projection.weight': numbers([1, 2], [1, 1]),
      'projection.bias': numbers([1], [bias]),
      'back.weight': numbers([2, 1], [1, 10]),
      'back.bias': numbers([2], [0, 0]),
    },
  );
  const classes = { first: ['toy', 'ToyProjector'], second: ['toy', 'ToyProjector'], third: [null, null] };
  const json = { _class_name: 'ToyPipeline', ...classes, watermark: ['toy', 'Watermark'], ...index };
  writeFileSync(join(folder, 'model_index.json'), JSON.stringify(json));
  return folder;
}

function open(folder: string): Promise<OpenedCheckpoint<typeof TOY>> {
  return openCheckpoint(folder, { families: [TOY] });
}

test('a new network class goes from the component list through opening, tensor names and proof to a graph that computes', async (t) => {
  const checkpoint = await open(toyFolder(t));
  assert.deepEqual(checkpoint.warnings, ['The toy’s watermark is not made.']);
  assert.deepEqual([...checkpoint.networks.first.weights.names()], ['projection.weight', 'projection.bias']);
  assert.deepEqual(
    [checkpoint.scheduler, checkpoint.tokenizers, checkpoint.networks.third],
    [undefined, {}, undefined],
  );
  const { first, second } = proveFit(checkpoint);
  const hidden = floatsOf(await runGraph(first, { x: float32(Float32Array.of(3, 4), [1, 2]) }), 'y');
  assert.deepEqual([...hidden], [7, 9]);
  assert.deepEqual([...floatsOf(await runGraph(second, { x: float32(hidden, [1, 2]) }), 'y')], [16]);
});

test('a network has other graphs of the same weights, which nobody needs until they are opened', async (t) => {
  const checkpoint = await open(toyFolder(t));
  proveFit(checkpoint);
  const back = buildGraph(checkpoint, 'second', { graph: 'back', computeType: 'float32' });
  assert.deepEqual([...floatsOf(await runGraph(back, { y: float32(Float32Array.of(4), [1, 1]) }), 'x')], [4, 40]);
  const of = (component: string, graph: string): void =>
    void buildGraph(checkpoint, component, { graph, computeType: 'float32' });
  assert.throws(() => of('first', 'back'), { code: 'missing_tensor', message: /"back\.weight"/ });
  assert.throws(() => of('second', 'toString'), { code: 'internal', message: /"second" with a graph "toString"/ });
  assert.throws(() => of('third', 'back'), { code: 'internal' });
});

test('each network says what it computes in: one stays in float32 beside another in float16', async (t) => {
  // More than float16 holds.
  const bias = 100_000;
  const checkpoint = await open(toyFolder(t, { second: { overflows: true }, bias }));
  const half = proveFit(checkpoint, 'float16');
  assert.deepEqual([half.first.computeType, half.second.computeType], ['float16', 'float32']);
  const input = { x: float32(Float32Array.of(3, 4), [1, 2]) };
  assert.deepEqual([...floatsOf(await runGraph(half.second, input), 'y')], [100_007]);
  const narrow = proveFit(await open(toyFolder(t, { bias })), 'float16').second;
  assert.equal(narrow.computeType, 'float16');
  assert.deepEqual([...floatsOf(await runGraph(narrow, input), 'y')], [Number.POSITIVE_INFINITY]);
});

test('what does not fit is refused: by the family’s own proof, by the class’s rules, and by the tensors', async (t) => {
  const unfit = await open(toyFolder(t, { second: { in_features: 3 } }));
  assert.throws(() => proveFit(unfit), { code: 'invalid_config', message: /second.*"in_features" is 3/ });
  const active = open(toyFolder(t, { second: { activation: 'relu' } }));
  await assert.rejects(active, { code: 'unsupported_config', message: /"activation" is "relu"/ });
  const nameless = await open(toyFolder(t, { prefix: 'other' }));
  assert.throws(() => proveFit(nameless), { code: 'missing_tensor', message: /first: .*"projection\.weight"/ });
  await assert.rejects(open(toyFolder(t, { index: { first: ['toy', 'Other'] } })), {
    code: 'unsupported_class',
    message: /the first class "Other" is not implemented; allowed: ToyProjector/,
  });
  await assert.rejects(open(toyFolder(t, { index: { _class_name: 'StableDiffusionPipeline' } })), {
    code: 'unsupported_class',
    message: /allowed: ToyPipeline/,
  });
});

test('an optional component is opened where the index names it', async (t) => {
  const folder = toyFolder(t, { index: { third: ['toy', 'ToyProjector'] } });
  await assert.rejects(open(folder), { code: 'model_not_found', message: /third/ });
});

test('of a repository, the files of the list’s components are needed', async (t) => {
  const folder = toyFolder(t);
  const paths = [
    'model_index.json',
    'first/config.json',
    'first/diffusion_pytorch_model.safetensors',
    'first/diffusion_pytorch_model.fp16.safetensors',
    'second/config.json',
    'second/diffusion_pytorch_model-00001-of-00001.safetensors',
    'second/diffusion_pytorch_model.safetensors.index.json',
    'third/config.json',
    'watermark/config.json',
    'unet/config.json',
    'samples/first.png',
  ];
  const files = paths.map((path) => ({ path, sizeBytes: 1, blob: path, isLarge: false }));
  const wanted = { id: 'owner/toy', index: await readModelIndex(folder), components: COMPONENTS };
  const names = (variant: string | undefined): string[] =>
    neededFiles(files, { ...wanted, variant }).map(({ path }) => path);
  const [index, config, plain, half, ...second] = paths.slice(0, 7);
  assert.deepEqual(names(undefined), [index, config, plain, ...second]);
  assert.deepEqual(names('fp16'), [index, config, half, ...second]);
});
