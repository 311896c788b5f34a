/** The names under which models are served. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { servedModels } from '../../src/app/served-models.ts';
import { modelList } from '../../src/config/options/model-list.ts';

async function makeHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'text2img-models-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  await mkdir(join(home, 'folder'));
  await mkdir(join(home, 'other', 'folder'), { recursive: true });
  await writeFile(join(home, 'file.safetensors'), '');
  return home;
}

const PLAIN = { model: undefined, defaultModel: undefined, vae: undefined, variant: undefined, offline: true };

async function served(home: string, models: string | undefined) {
  const list = models === undefined ? undefined : (modelList.parseText(models) ?? []);
  const all = await servedModels({ ...PLAIN, models: list, environment: { HOME: home } });
  return all.map(({ id, aliases }) => [id, ...aliases]);
}

test('a model is called by its name before the equals sign, else as on the hub, else as its folder or file; no path is shown', async (t) => {
  const home = await makeHome(t);
  const file = join(home, 'file.safetensors');
  assert.deepEqual(await served(home, `~/folder,${file},owner/name,pinned=owner/other@main,o/n/x.safetensors`), [
    ['folder'],
    ['file'],
    ['owner/name'],
    ['pinned', 'owner/other', 'owner/other@main'],
    ['o/n/x.safetensors'],
  ]);
});

test('without a list there is one: the demo model, or the default', async (t) => {
  const home = await makeHome(t);
  assert.deepEqual(await served(home, undefined), [['demo']]);
  const [only] = await servedModels({ ...PLAIN, defaultModel: 'owner/name', environment: {} });
  assert.equal(only.id, 'owner/name');
});

test('two models of one name, and a name that leads nowhere, are refused before anything is opened', async (t) => {
  const home = await makeHome(t);
  const twins = `${join(home, 'folder')},${join(home, 'other', 'folder')}`;
  await assert.rejects(served(home, twins), { code: 'invalid_option', message: /two models called "folder".*name=/ });
  assert.deepEqual(await served(home, twins.replace(',', ',second=')), [['folder'], ['second', 'folder']]);
  await assert.rejects(served(home, '/nowhere/at/all'), { code: 'model_not_found' });
});
