/**
 * What 8-bit weights would bring: single layers of SD 1.5's and SDXL's shapes, in each runtime, weights in float32 against int8 per output channel.
 * Prints one JSON line a measurement. docs/decisions/eight-bit-weights.md has the figures.
 * Usage: eight-bit.ts time OPENVINO_FOLDER ROUNDS [LAYER …] | eight-bit.ts memory OPENVINO_FOLDER [VARIANT …]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Layer, LAYERS, type LayerName } from './eight-bit-layers.ts';
import { openVariant, type Variant, VARIANTS, writeVariant } from './eight-bit-variants.ts';
import { anonymousBytes, median, peakBytes, residentBytes } from './timing.ts';

/** Layers in the stack whose memory is measured. */
const COPIES = 6;

const [mode = '', libraries = '', third = '', ...rest] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'eight-bit-'));
try {
  if (mode === 'time') await time(Number(third), rest.length === 0 ? Object.keys(LAYERS) : rest);
  else if (mode === 'memory') memoryOfAll([third, ...rest].filter((name) => name !== ''));
  else await memoryOfOne(third, rest[0] ?? '', rest[1] ?? '');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** One process, one run of each variant in turn. */
async function time(rounds: number, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const layer = LAYERS[name as LayerName];
    const opened = [];
    for (const variant of VARIANTS.filter((one) => one.kinds.includes(layer.kind))) {
      writeVariant(variant, { layer, copies: 1, folder });
      opened.push({
        variant,
        seconds: [] as number[],
        error: 0,
        ...(await openVariant(variant, { layer, folder, libraries })),
      });
    }
    const [first] = opened;
    if (first === undefined) continue;
    const expected = await first.run();
    for (const one of opened) one.error = relativeError(await one.run(), expected);
    for (let round = 0; round < rounds; round++)
      for (const one of opened) {
        const startMs = performance.now();
        await one.run();
        one.seconds.push((performance.now() - startMs) / 1000);
      }
    for (const { variant, seconds, error, close } of opened) {
      const ms = median(seconds) * 1000;
      const factor = median(seconds) / median(first.seconds);
      print({ layer: name, variant: variant.name, ms: round(ms, 1), factor: round(factor, 2), error });
      await close();
    }
    print({ load: loadavg()[0] });
  }
}

/** A process for each: a stack of layers, after it ran. The weights are made in another process, whose memory does not count. */
function memoryOfAll(wanted: readonly string[]): void {
  for (const name of ['xl-feed-forward-out', 'sd-conv-1280'] as const)
    for (const variant of VARIANTS.filter((one) => one.kinds.includes(LAYERS[name].kind))) {
      if (wanted.length > 0 && !wanted.includes(variant.name)) continue;
      const weightBytes = writeVariant(variant, { layer: small(LAYERS[name]), copies: COPIES, folder });
      const child = [import.meta.filename, 'one', libraries, name, variant.name, folder];
      const memory: unknown = JSON.parse(execFileSync(process.execPath, child, { encoding: 'utf8' }));
      print({ layer: name, variant: variant.name, weightsMb: mb(weightBytes), ...(memory as object) });
    }
}

/** Few activations, so that the weights are what is measured. */
function small(layer: Layer): Layer {
  return { ...layer, size: 32 };
}

async function memoryOfOne(name: string, variantName: string, from: string): Promise<void> {
  const variant = VARIANTS.find((one) => one.name === variantName) as Variant;
  const before = { anonymous: anonymousBytes(), resident: residentBytes() };
  const { run } = await openVariant(variant, { layer: small(LAYERS[name as LayerName]), folder: from, libraries });
  await run();
  await run();
  const anonymous = anonymousBytes() - before.anonymous;
  print({
    anonymousMb: mb(anonymous),
    mappedMb: mb(residentBytes() - before.resident - anonymous),
    peakMb: mb(peakBytes() - before.resident),
  });
}

function relativeError(values: Float32Array, expected: Float32Array): number {
  let squares = 0;
  let norm = 0;
  for (const [index, value] of expected.entries()) {
    squares += (value - (values[index] as number)) ** 2;
    norm += value ** 2;
  }
  return Number(Math.sqrt(squares / norm).toPrecision(2));
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e6);
}

function print(record: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(record)}\n`);
}
