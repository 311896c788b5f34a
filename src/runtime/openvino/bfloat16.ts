/** Whether this processor computes in bfloat16 by itself. OpenVINO also takes the hint where it is slower than float32, with AVX-512 alone. */
import { readFileSync } from 'node:fs';

/** Source: arch/x86/kernel/cpu/capflags of Linux: `avx512_bf16` (vdpbf16ps) and `amx_bf16` (tdpbf16ps). */
const FLAGS = /^flags\s*:.*\b(?:avx512_bf16|amx_bf16)\b/m;

/** @param cpuinfo the kernel's text about the processors; tests give their own */
export function hasBfloat16(cpuinfo: string = readCpuinfo()): boolean {
  return FLAGS.test(cpuinfo);
}

function readCpuinfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}
