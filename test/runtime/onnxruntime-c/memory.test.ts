/** Memory of the C API: nothing is left over by runs, by networks that open and close, by runs that fail, or by tensors that stay on the device. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { GraphBuilder } from '../../../src/onnx/graph.ts';
import { ONNX_RUNTIME_C } from '../../../src/runtime/registry.ts';
import { float32 } from '../../../src/runtime/tensors.ts';
import { NO_PEAKS } from '../memory-of-opening.ts';
import { openOnCpu } from '../open-on-cpu.ts';
import { grownBytes } from './grown-bytes.ts';
import { NO_C_API } from './no-c-api.ts';
import { NO_WEIGHTS } from '../no-weights.ts';

/** A run, a failure or an opening that kept its megabyte of tensors or weights would leave 1000 MB. */
const MOST_BYTES = 50e6;

suite('memory of the C API', { skip: NO_C_API === false ? NO_PEAKS : NO_C_API }, () => {
  for (const what of ['runs', 'kept outputs', 'failures', 'cancelled runs', 'openings', 'captured runs'] as const)
    test(`1,000 ${what} leave nothing behind`, async () => {
      const grown = await grownBytes(what, 1000);
      assert.ok(grown < MOST_BYTES, `${grown} bytes more`);
    });

  test('too little memory for a run is engine_out_of_memory, and the network goes on', async () => {
    const g = new GraphBuilder(NO_WEIGHTS, 'float32');
    const x = g.input('x', 'float32', ['n', 1], [2, 1]);
    const y = g.input('y', 'float32', [1, 'n'], [1, 2]);
    g.output('z', g.node('Mul', [x, y], { shape: [2, 2] }), ['n', 'n']);
    await using network = await openOnCpu(g.build('product'), undefined, ONNX_RUNTIME_C);
    const run = (n: number): Promise<unknown> =>
      network.run({ x: float32(new Float32Array(n), [n, 1]), y: float32(new Float32Array(n), [1, n]) });
    // More than a process has addresses.
    await assert.rejects(run(2 ** 23), { code: 'engine_out_of_memory' });
    await run(2);
  });
});
