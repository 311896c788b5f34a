/**
 * Single files in the original layout: names, configurations and pictures as diffusers' `from_single_file` has them.
 * The expectations are made by `reference/make_single_file_cases.py` (diffusers 0.42.1, torch 2.15, float32 on the CPU).
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { decode } from 'fast-png';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint.ts';
import { readConfig } from '../../../src/lib/config-rules.ts';
import type { NetworkClass } from '../../../src/networks/network-class.ts';
import { type UNet2DConditionConfig, unetBlocks } from '../../../src/networks/unet-2d-condition-config.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { type DrawnRequest, drawnBy } from './draw.ts';
import { madeFile, madeFolder, type Names, readCaseFile, SINGLE_FILES } from './make-file.ts';

const cases = readdirSync(SINGLE_FILES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

const requestOf = (name: string): DrawnRequest =>
  (readCaseFile(name, 'case.json') as { request: DrawnRequest }).request;

suite('a single file', () => {
  assert.ok(cases.length >= 2, `the cases are there: ${cases.join(', ')}`);
  for (const name of cases) {
    test(`${name}: each tensor lies where diffusers finds it`, async (t) => {
      const path = madeFile(t, name);
      const { networks } = await openCheckpoint(path, { families: FAMILIES });
      const names = Object.entries(readCaseFile(name, 'names.json') as Names);
      assert.ok(names.length > 300);
      for (const [key, [stored, part]] of names) {
        const [component, tensor] = [key.slice(0, key.indexOf('/')), key.slice(key.indexOf('/') + 1)];
        const place = Object.entries(networks)
          .find(([one]) => one === component)?.[1]
          ?.weights.place(tensor);
        assert.equal(place?.storedName, stored, key);
        assert.equal(place?.transposed, part === 'transposed' ? true : undefined, key);
      }
    });

    test(`${name}: the configurations are those that diffusers was given`, async (t) => {
      const { networks, scheduler } = await openCheckpoint(madeFile(t, name), { families: FAMILIES });
      for (const [component, network] of Object.entries(networks)) {
        if (network === undefined) continue;
        const json = readCaseFile(name, `config/${component}/config.json`) as Readonly<Record<string, unknown>>;
        const { config } = readConfig(network.networkClass as NetworkClass, json, 'config.json');
        assert.deepEqual(comparable(network.config), comparable(config), component);
      }
      const { _class_name: className, ...given } = readCaseFile(
        name,
        'config/scheduler/scheduler_config.json',
      ) as Readonly<Record<string, unknown>>;
      assert.equal(scheduler?.className, className);
      const differing = Object.entries(given).filter(
        ([key, value]) => !key.startsWith('_') && JSON.stringify(scheduler?.config[key]) !== JSON.stringify(value),
      );
      assert.deepEqual(differing, []);
    });

    test(`${name}: the picture is within 1/255 of diffusers', and that of the same weights in a folder bit for bit`, async (t) => {
      const image = await drawnBy(madeFile(t, name), requestOf(name));
      const expected = decode(readFileSync(join(SINGLE_FILES, name, 'expected-1.png')));
      assert.deepEqual([image.widthPx, image.heightPx], [expected.width, expected.height]);
      const largest = image.pixels.reduce(
        (most, value, index) => Math.max(most, Math.abs(value - (expected.data[index] as number))),
        0,
      );
      assert.ok(largest <= 1, `a value differs by ${largest}`);
      const fromFolder = await drawnBy(madeFolder(t, name), requestOf(name));
      assert.deepEqual(image.pixels, fromFolder.pixels);
    });
  }
});

/** Without keys that have no effect on what is computed, and with the depth of each attention in one form. */
function comparable(config: unknown): Readonly<Record<string, unknown>> {
  const {
    _diffusers_version: _,
    transformer_layers_per_block: __,
    reverse_transformer_layers_per_block: ___,
    ...rest
  } = config as Readonly<Record<string, unknown>>;
  return Object.hasOwn(rest, 'down_block_types') ? { ...rest, blocks: depthsOf(config as never) } : rest;
}

function depthsOf(config: UNet2DConditionConfig): unknown {
  return unetBlocks(config).map(({ layers, crossAttention, transformerLayers: { down, up }, ...block }, index) => {
    const isMiddle =
      config.mid_block_type === 'UNetMidBlock2DCrossAttn' && index === config.down_block_types.length - 1;
    const perLayer = (depth: number | readonly number[], count: number): unknown =>
      typeof depth === 'number' ? Array.from({ length: count }, () => depth) : depth;
    return {
      ...block,
      crossAttention,
      down: crossAttention.down || isMiddle ? perLayer(down, layers) : undefined,
      up: crossAttention.up ? perLayer(up, layers + 1) : undefined,
    };
  });
}
