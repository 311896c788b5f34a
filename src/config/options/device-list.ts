/** The value of `--device`: one device, or several NVIDIA GPUs with commas between them, each of which gets an engine. */
import type { ValueType } from './value-types.ts';

const NAMES = /^(?:auto|cpu|webgpu|cuda(?::\d{1,3})?)$/;
const CUDA = /^cuda(?::(\d{1,3}))?$/;

/** `cuda` is `cuda:0`, also beside others. */
export const deviceList: ValueType<readonly [string, ...string[]]> = {
  otherWords: { gpu: 'cuda', nvidia: 'cuda' },
  parseText: (value) => {
    const [first = '', ...others] = entries(value);
    if (others.length === 0) return NAMES.test(first) ? [first] : undefined;
    return faultOf(value) === undefined ? [normal(first), ...others.map(normal)] : undefined;
  },
  reasonAgainst: faultOf,
};

/** Of a list; undefined: none, or it is no list. */
function faultOf(value: string): string | undefined {
  const devices = entries(value);
  if (devices.length === 1) return undefined;
  if (devices.includes('')) return 'a device is missing beside a comma';
  if (!devices.every((device) => CUDA.test(device))) return 'a list may name NVIDIA GPUs only';
  const names = devices.map(normal);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? undefined : `it names ${twice} twice`;
}

function entries(value: string): string[] {
  return value.split(',').map((entry) => entry.trim());
}

function normal(device: string): string {
  return `cuda:${Number(CUDA.exec(device)?.[1] ?? 0)}`;
}
