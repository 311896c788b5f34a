/** What NVIDIA's profiler prints becomes rows: the sum of all kernels, and each kernel with its runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelRows } from '../../bench/gpu/steps/kernels.ts';

/** As `ncu` 2025.3 printed it on an H100, with less columns. */
const TEXT = `==PROF== Connected to process 4242
"ID","Process ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","4242","void GroupNormNHWCSumKernel<__half, 160, 2>(T1 *, float *, int)","gpu__time_duration.sum","ns","5,248"
"1","4242","nvjet_sm90_hsh_80x64_64x11_1x2_h_bz_TNN","gpu__time_duration.sum","ns","10,000"
"2","4242","void GroupNormNHWCSumKernel<__half, 160, 2>(T1 *, float *, int)","gpu__time_duration.sum","ns","4,752"
==PROF== Disconnected from process 4242
`;

test('kernels of one name are added up, and the longest comes first', () => {
  const rows = kernelRows(TEXT).map(({ what, runs, seconds }) => [what, runs, Math.round(Number(seconds) * 1e9)]);
  assert.deepEqual(rows, [
    ['all kernels', 3, 20_000],
    ['void GroupNormNHWCSumKernel<__half, 160, 2>(T1 *, float *, int)', 2, 10_000],
    ['nvjet_sm90_hsh_80x64_64x11_1x2_h_bz_TNN', 1, 10_000],
  ]);
});

test('a text without a table is refused', () => {
  assert.throws(() => kernelRows('==ERROR== no permission\n'), /no table of kernels/);
});
