/** (d) One residual block of SD 1.5's UNet in both forms of the graph, and the sample that an engine tries: time, and how far the forms are apart. */
import { resnetBlock2d } from '../../../src/networks/layers/resnet-block-2d.ts';
import { FormSample } from '../../../src/networks/form-sample.ts';
import { type BuiltGraph, GraphBuilder } from '../../../src/onnx/graph.ts';
import type { GraphStyle } from '../../../src/onnx/graph-form.ts';
import type { Weights } from '../../../src/onnx/weights.ts';
import type { HostTensors, Runtime } from '../../../src/runtime/contract.ts';
import { ONNX_RUNTIME_C } from '../../../src/runtime/registry.ts';
import { float32, floatsOf } from '../../../src/runtime/tensors.ts';
import { differenceOf, secondsOf, timePasses } from '../measure.ts';
import { BINDING, HALF, openComponent, openOn, styleFor, wave } from '../open-graph.ts';
import type { Report, TaskOf } from '../step.ts';

/** The first block of every UNet of this class. */
const PREFIX = 'down_blocks.0.resnets.0';
const BATCH = 2;

interface Sizes {
  readonly channels: number;
  readonly groups: number;
  readonly latents: number;
}

export async function resnetStep(task: TaskOf<'resnet'>, report: Report): Promise<void> {
  const { weights, json } = await openComponent('sd15', 'unet', task);
  const [channels = 0] = json['block_out_channels'] as number[];
  const sizes = { channels, groups: Number(json['norm_num_groups'] ?? 32), latents: Number(json['sample_size']) };
  const inputs = {
    x: wave([BATCH, channels, sizes.latents, sizes.latents]),
    time: wave([BATCH, 4 * channels]),
  };
  let expected: Float32Array | undefined;
  for (const form of ['portable', 'fused'] as const) {
    await using network = await openOn(BINDING, blockGraph(styleFor(form, task.device), weights, sizes), task.device);
    const result = floatsOf(await network.run(inputs), 'y');
    const { seconds } = await timePasses(() => network.run(inputs));
    report({ what: form, seconds, ...(expected === undefined ? {} : differenceOf(result, expected)) });
    expected ??= result;
  }
  for (const runtime of [BINDING, ONNX_RUNTIME_C]) await compareSamples(runtime, task, report);
}

/** Opened and run once in both forms, as an engine does before it takes the fused form. */
async function compareSamples(runtime: Runtime, { device }: TaskOf<'resnet'>, report: Report): Promise<void> {
  const sample = new FormSample();
  const inputs = Object.fromEntries(
    Object.entries(sample.inputs).map(([name, { data, shape }]) => [name, float32(data, shape)]),
  );
  for (const computeType of ['float32', HALF] as const) {
    const results: HostTensors[] = [];
    const seconds = await secondsOf(async () => {
      for (const form of ['portable', 'fused'] as const) {
        await using network = await openOn(runtime, sample.graph(computeType, styleFor(form, device)), device);
        results.push(await network.run(inputs));
      }
    });
    const [portable = {}, fused = {}] = results;
    for (const name of Object.keys(portable)) {
      const difference = differenceOf(floatsOf(fused, name), floatsOf(portable, name));
      report({ what: `sample in ${computeType}, ${runtime.name}, ${name}`, seconds, ...difference });
    }
  }
}

function blockGraph(style: GraphStyle, weights: Weights, { channels, groups, latents }: Sizes): BuiltGraph {
  const g = new GraphBuilder(weights, HALF, style);
  const shape = [BATCH, channels, latents, latents];
  const x = g.input('x', 'float32', ['batch', channels, 'height', 'width'], shape);
  const time = g.input('time', 'float32', ['batch', 4 * channels], [BATCH, 4 * channels]);
  const y = resnetBlock2d(g, g.cast(x, g.graphType), PREFIX, {
    outChannels: channels,
    groups,
    epsilon: 1e-5,
    activatedTimeEmbedding: g.cast(time, g.graphType),
  });
  g.output('y', y, ['batch', channels, 'height', 'width']);
  return g.build('ResnetBlock2D');
}
