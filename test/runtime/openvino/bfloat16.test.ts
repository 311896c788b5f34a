/** Which processors compute in bfloat16 by themselves. The lines are of /proc/cpuinfo. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasBfloat16 } from '../../../src/runtime/openvino/bfloat16.ts';

const line = (flags: string): string =>
  `model name\t: x\nflags\t\t: fpu sse2 ${flags} end\nbugs\t\t: none avx512_bf16\n`;

test('AVX512_BF16 and AMX compute in bfloat16; AVX-512 alone does not', () => {
  assert.equal(hasBfloat16(line('avx512f avx512_bf16')), true);
  assert.equal(hasBfloat16(line('amx_bf16 amx_tile')), true);
  assert.equal(hasBfloat16(line('avx512f avx512vl avx512_vnni')), false);
  assert.equal(hasBfloat16(line('avx512_bf16x')), false);
  assert.equal(hasBfloat16(''), false);
});
