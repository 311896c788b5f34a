/** Tries the execution providers and prints what it found as one JSON line: a process of its own, because a provider that fails may take its process along. */
import { probeProvider } from '../runtime/onnxruntime/execution-provider.ts';

const [device = ''] = process.argv.slice(2);
const provider =
  device === 'cuda'
    ? ({ name: 'cuda', deviceId: 0 } as const)
    : device === 'webgpu'
      ? ({ name: 'webgpu' } as const)
      : ({ name: 'cpu' } as const);
const { available, detail } = await probeProvider(provider);
process.stdout.write(`${JSON.stringify({ available, detail })}\n`);
