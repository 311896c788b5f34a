/** The compile cache under a runtime of its own: what may fail while an entry is loaded or made, and what becomes of the entry. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { type CompiledForm, openThroughCache } from '../../src/runtime/compile-cache.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-form-'));
after(() => rm(place, { recursive: true, force: true }));

const GRAPH: BuiltGraph = {
  model: Uint8Array.of(1, 2, 3),
  weightsFolder: '',
  weightFiles: [],
  weightBytes: 1,
  largestInlineBytes: 0,
  activationBytes: 0,
  flops: 0,
  computeType: 'float32',
};

interface Opened extends AsyncDisposable {
  /** Where it came from. */
  readonly from: 'load' | 'compile';
  readonly text: string;
}

const opened = (from: Opened['from'], text: string): Opened => ({
  from,
  text,
  [Symbol.asyncDispose]: () => Promise.resolve(),
});

let timesMade = 0;

/** A runtime that compiles a graph to two files of text. */
function form(changes: Partial<CompiledForm<Opened>> = {}): CompiledForm<Opened> {
  return {
    key: 'version 1',
    load: async (folder) => opened('load', await readFile(join(folder, 'program.txt'), 'utf8')),
    compileInto: async (folder) => {
      timesMade++;
      await writeFile(join(folder, 'program.txt'), 'compiled');
      await writeFile(join(folder, 'weights.bin'), 'w');
    },
    compile: () => Promise.resolve(opened('compile', 'compiled')),
    ...changes,
  };
}

interface Result {
  readonly from: string;
  readonly notes: readonly string[];
}

async function open(folder: string, form: CompiledForm<Opened>): Promise<Result> {
  const notes: string[] = [];
  const settings = { folder, minWeightBytes: 0, onNote: (note: string) => void notes.push(note) };
  const madeBefore = timesMade;
  await using result = await openThroughCache(GRAPH, form, settings);
  assert.equal(result.text, 'compiled');
  return { from: timesMade > madeBefore ? `made, then ${result.from}` : result.from, notes };
}

async function entriesOf(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => /^[0-9a-f]{32}$/.test(name));
}

const fails = (code: 'engine_out_of_memory' | 'inference_failed') => (): Promise<never> =>
  Promise.reject(new Text2ImgError(code, 'it could not be loaded.'));

test('any runtime’s files are kept, checked and loaded again', async () => {
  const folder = join(place, 'kept');
  assert.deepEqual(await open(folder, form()), { from: 'made, then load', notes: [] });
  assert.deepEqual(await open(folder, form()), { from: 'load', notes: [] });
  const [entry] = await entriesOf(folder);
  await writeFile(join(folder, entry as string, 'weights.bin'), 'x');
  const again = await open(folder, form());
  assert.equal(again.from, 'made, then load');
  assert.match(again.notes.join(), /was changed after it was written/);
  assert.equal((await open(folder, form())).from, 'load');
});

test('another version of the runtime is another entry', async () => {
  const folder = join(place, 'version');
  await open(folder, form());
  assert.equal((await open(folder, form({ key: 'version 2' }))).from, 'made, then load');
  assert.equal((await entriesOf(folder)).length, 2);
});

test('memory that runs out while an entry is loaded is reported, and the entry stays', async () => {
  const folder = join(place, 'memory');
  await open(folder, form());
  await assert.rejects(
    open(folder, form({ load: fails('engine_out_of_memory') })),
    (error) => error instanceof Text2ImgError && error.code === 'engine_out_of_memory',
  );
  assert.deepEqual(await open(folder, form()), { from: 'load', notes: [] }, 'the next start, with memory, loads it');
});

test('an entry that fails to load for any other reason is made anew, with a note', async () => {
  const folder = join(place, 'broken');
  await open(folder, form());
  const { from, notes } = await open(folder, form({ load: fails('inference_failed') }));
  assert.equal(from, 'made, then compile', 'the model is used without the cache');
  assert.match(notes.join(), /does not load and is made again/);
  assert.equal((await open(folder, form())).from, 'made, then load');
});

test('what fails to compile leaves nothing in the cache', async () => {
  const folder = join(place, 'uncompiled');
  await assert.rejects(open(folder, form({ compileInto: fails('engine_out_of_memory') })));
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name !== 'weights-digests'),
    [],
  );
  const { from, notes } = await open(folder, form({ compileInto: fails('inference_failed') }));
  assert.equal(from, 'compile', 'the model is used without the cache');
  assert.match(notes.join(), /could not be used/);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name !== 'weights-digests'),
    [],
  );
});
