/** One process: loads the SD 1.5 shape once and measures forward passes at 512×512, batch 1. Prints one JSON line. Usage: unet-pass.ts UNET_FOLDER CACHE_FOLDER|off THREADS PASSES */
import { openComponentWeights } from '../src/checkpoint/component-weights.ts';
import { UNET_2D_CONDITION_MODEL } from '../src/networks/unet-2d-condition-model.ts';
import { DEFAULT_RUNTIME } from '../src/runtime/registry.ts';
import { float32 } from '../src/runtime/tensors.ts';
import { sd15Config } from './sd15-unet.ts';
import { median, residentBytes, timeRuns } from './timing.ts';

const [folder = '', cache = 'off', threads = '2', passes = '3'] = process.argv.slice(2);
const startMs = performance.now();
const weights = await openComponentWeights({ component: 'unet', folder, baseName: 'diffusion_pytorch_model' });
const graph = UNET_2D_CONDITION_MODEL.build({ config: sd15Config(), weights, computeType: 'float32' });
await using network = await DEFAULT_RUNTIME.open(graph, {
  device: 'cpu',
  computeType: 'float32',
  threads: Number(threads),
  use: 'every-step',
  cache: {
    folder: cache === 'off' ? null : cache,
    onNote: (note) =>
      process.stderr.write(`${note}
`),
  },
});
const loadSeconds = (performance.now() - startMs) / 1000;
const inputs = {
  sample: float32(
    Float32Array.from({ length: 4 * 64 * 64 }, (_, index) => Math.sin(index)),
    [1, 4, 64, 64],
  ),
  timestep: float32(Float32Array.of(500), [1]),
  encoder_hidden_states: float32(
    Float32Array.from({ length: 77 * 768 }, (_, index) => Math.cos(index)),
    [1, 77, 768],
  ),
};
await network.run(inputs);
const resident = residentBytes();
const seconds = Number(passes) === 0 ? [] : await timeRuns(Number(passes), () => network.run(inputs));
process.stdout.write(
  `${JSON.stringify({ loadSeconds, residentBytes: resident, weightBytes: graph.weightBytes, flops: graph.flops, graphBytes: graph.model.length, passSeconds: median(seconds), passes: seconds })}\n`,
);
