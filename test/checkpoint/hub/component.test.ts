/** An autoencoder of the hub: in the root of its own repository, or in the folder of a whole checkpoint. Nothing else is fetched. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { fetchCheckpoint } from '../../../src/checkpoint/hub/fetch-checkpoint.ts';
import { openKnown } from '../open-known.ts';
import { COMMIT } from '../../servers/hub-server.ts';
import { DEMO, failsWith, HUB_ID, makePlace } from './hub-place.ts';

const component = { name: 'vae', baseName: 'diffusion_pytorch_model' };
const WEIGHTS = 'diffusion_pytorch_model.safetensors';
const ALONE = { id: 'owner/vae', revision: 'main' };

test('from the root of its own repository: configuration and weights, and nothing else', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t, { component });
  const own = ['config.json', WEIGHTS].map((name) => [name, readFileSync(join(DEMO, 'vae', name))] as const);
  const others = ['sd-vae.ckpt', 'diffusion_pytorch_model.bin', 'README.md', 'encoder/config.json'];
  const files = new Map([...own, ...others.map((name) => [name, Buffer.from(name)] as const)]);
  hub.repositories.set('owner/vae', { files });
  const folder = await fetchCheckpoint(ALONE, options);
  assert.equal(relative(cacheFolder, folder), join('models--owner--vae', 'snapshots', COMMIT));
  const fetched = new Set(hub.downloads.map(({ path }) => path.slice(path.lastIndexOf('/') + 1)));
  assert.deepEqual([...fetched].toSorted(), ['config.json', WEIGHTS].toSorted());
  const checkpoint = await openKnown(DEMO, { vae: folder });
  assert.equal(checkpoint.networks.vae.configPath, join(folder, 'config.json'));
  await hub[Symbol.asyncDispose]();
  assert.equal(await fetchCheckpoint(ALONE, { ...options, offline: true }), folder);
});

test('from a whole checkpoint: its folder', async (t) => {
  const { hub, cacheFolder, options } = await makePlace(t, { component });
  const folder = await fetchCheckpoint(HUB_ID, options);
  assert.equal(relative(cacheFolder, folder), join('models--owner--demo', 'snapshots', COMMIT, 'vae'));
  assert.ok(
    hub.downloads.every(({ path }) => path.includes('vae/')),
    'nothing else of it is fetched',
  );
  await openKnown(DEMO, { vae: folder });
});

test('a repository without one says what it has', async (t) => {
  const { hub, options } = await makePlace(t, { component });
  hub.repositories.set('owner/vae', { files: new Map([['vae-ft-mse.safetensors', Buffer.from('x')]]) });
  await assert.rejects(
    fetchCheckpoint(ALONE, options),
    failsWith('model_not_found', 'owner/vae', 'config.json', '--vae owner/vae/vae-ft-mse.safetensors'),
  );
  await assert.rejects(
    fetchCheckpoint(ALONE, { ...options, offline: true }),
    failsWith('model_not_found', 'owner/vae'),
  );
});
