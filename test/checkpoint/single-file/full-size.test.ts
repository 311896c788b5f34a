/**
 * Known checkpoints at their full size, as lists of tensors: recognised, configured as their repositories on the hub say, and proved, which asks every graph
 * for every tensor with its shape. Sources of the structures: diffusers' scripts, and ComfyUI's supported_models.py for the distilled ones.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { proveFit } from '../../../src/pipelines/prove-fit.ts';
import { sparseFile } from './full-size.ts';
import { KNOWN_CHECKPOINTS } from './known-checkpoints.ts';

for (const [name, { unet, texts, millions, config }] of Object.entries(KNOWN_CHECKPOINTS))
  test(`${name} in full size is recognised, configured and proved by its tensors alone`, async (t) => {
    const checkpoint = await openCheckpoint(sparseFile(t, unet, texts), { families: FAMILIES });
    proveFit(checkpoint);
    const read = checkpoint.networks.unet.config as Readonly<Record<string, unknown>>;
    assert.deepEqual(Object.fromEntries(Object.keys(config).map((key) => [key, read[key]])), config);
    const { weights } = checkpoint.networks.unet;
    const parameters = [...weights.names()].reduce((sum, tensor) => sum + weights.place(tensor).lengthBytes / 2, 0);
    assert.ok(Math.abs(parameters / 1e6 - millions) < 10, `${parameters}`);
  });
