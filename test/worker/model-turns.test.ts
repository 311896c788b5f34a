/** How long a loaded model stays while documents for another one wait. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PoolModel } from '../../src/engine/pool.ts';
import { ModelTurns } from '../../src/worker/model-turns.ts';

/** A queue whose documents are named after their models, the default's unnamed; the clock, and the engine's loaded model. */
class Scene {
  nowMs = 0;
  loaded: string | undefined = 'a';
  /** Documents that wait. */
  readonly waiting: Record<string, number> = { a: 0, b: 0, c: 0 };
  /** The models that each claim was for. */
  readonly claims: string[] = [];
  maxImages = 4;
  isKnown = true;
  readonly #turns = new ModelTurns(() => this.nowMs);

  /** As an engine that generates what it gets. @returns the model and the number of documents */
  async turn(): Promise<string | undefined> {
    const models = ['a', 'b', 'c'].map((id): PoolModel => ({ id, takesUnnamed: id === 'a', facts: undefined }));
    const loaded = models.find(({ id }) => id === this.loaded);
    const maxImages = (id: string): number => (this.isKnown || id === this.loaded ? this.maxImages : 1);
    const slot = {
      engine: 'engine 1',
      loaded,
      models: [...models].sort((one) => (one === loaded ? -1 : 0)),
      maxImages,
    };
    const turn = await this.#turns.claim(slot, async (wanted, limit) => this.#claim(wanted, limit));
    if (turn === undefined || turn.jobs.length === 0) return undefined;
    this.loaded = turn.model.id;
    return `${turn.jobs.length} ${turn.model.id}`;
  }

  #claim(wanted: readonly PoolModel[], limit: number) {
    this.claims.push(wanted.map(({ id }) => id).join(''));
    const claimed: { readonly claim: { readonly model?: string } }[] = [];
    for (const { id, takesUnnamed } of wanted)
      while ((this.waiting[id] ?? 0) > 0 && claimed.length < limit) {
        this.waiting[id] = (this.waiting[id] ?? 0) - 1;
        claimed.push({ claim: takesUnnamed ? {} : { model: id } });
      }
    return claimed;
  }
}

test('the loaded model stays for 20 documents, then the one that waits has its turn, and after that the first again', async () => {
  const scene = new Scene();
  Object.assign(scene.waiting, { a: 30, b: 6 });
  const turns: unknown[] = [];
  for (let turn = await scene.turn(); turn !== undefined; turn = await scene.turn()) turns.push(turn);
  assert.deepEqual(turns, ['4 a', '4 a', '4 a', '4 a', '4 a', '4 b', '2 b', '4 a', '4 a', '2 a']);
});

test('it stays for 60 seconds, however few documents it had in them', async () => {
  const scene = new Scene();
  scene.maxImages = 1;
  Object.assign(scene.waiting, { a: 9, b: 1 });
  assert.equal(await scene.turn(), '1 a');
  scene.nowMs = 59_000;
  assert.equal(await scene.turn(), '1 a');
  scene.nowMs = 60_000;
  assert.equal(await scene.turn(), '1 b');
  assert.equal(await scene.turn(), '1 a');
});

test('while nothing else waits the others are asked for once in 20 documents, and a model alone never asks twice', async () => {
  const scene = new Scene();
  scene.waiting['a'] = 60;
  for (let turn = 0; turn < 15; turn++) assert.equal(await scene.turn(), '4 a');
  assert.deepEqual(
    scene.claims.filter((models) => models !== 'a'),
    ['bc', 'bc'],
  );
});

test('a model that was never loaded gets one document, because nobody knows what fits', async () => {
  const scene = new Scene();
  scene.isKnown = false;
  scene.waiting['c'] = 3;
  assert.deepEqual([await scene.turn(), await scene.turn()], ['1 c', '2 c']);
});

test('an engine without a loaded model takes the next document of any', async () => {
  const scene = new Scene();
  scene.loaded = undefined;
  scene.waiting['b'] = 2;
  assert.equal(await scene.turn(), '2 b');
  assert.equal(await scene.turn(), undefined);
});
