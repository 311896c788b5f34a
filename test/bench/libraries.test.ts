/** `npm run bench:gpu` puts the CUDA provider beside ONNX Runtime's own library, and names the libraries that are nowhere. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { cudaEnvironment } from '../../bench/gpu/libraries.ts';

const place = mkdtempSync(join(tmpdir(), 'text2img-libraries-'));
after(() => rmSync(place, { recursive: true, force: true }));

const PROVIDERS = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so'];
const NVIDIA = [
  'libcudart.so.13',
  'libcublas.so.13',
  'libcublasLt.so.13',
  'libcurand.so.10',
  'libcudnn.so.9',
  'libnvrtc.so.13',
];

/** Empty files of these names. */
function folderWith(name: string, files: readonly string[]): string {
  const folder = join(place, name);
  mkdirSync(folder);
  for (const file of files) writeFileSync(join(folder, file), '');
  return folder;
}

const environmentFor = (libraries: string): ReturnType<typeof cudaEnvironment> =>
  cudaEnvironment({ libraries, python: undefined, workFolder: join(place, 'work') });

test('the provider’s folder comes first in the loader’s path and has ONNX Runtime’s own library; the given folder follows', async () => {
  const given = folderWith('whole', [...PROVIDERS, ...NVIDIA]);
  const [first = '', second] = (await environmentFor(given))['LD_LIBRARY_PATH']?.split(':') ?? [];
  for (const name of [...PROVIDERS, 'libonnxruntime.so.1']) assert.ok(existsSync(join(first, name)), name);
  assert.equal(second, given);
});

test('libraries that are nowhere are named', async () => {
  // No system has it for another release of CUDA.
  const given = folderWith('less', [...PROVIDERS, ...NVIDIA.slice(1)]);
  await environmentFor(given).then(
    ({ LD_LIBRARY_PATH: path = '' }) => assert.ok(path.split(':').length > 2, 'this system has libcudart.so.13 itself'),
    ({ message }: Error) =>
      assert.match(message, /^libcudart\.so\.13 is missing; name a folder .*--libraries, or a Python/),
  );
});

test('a folder without the provider is refused with the names of its files', async () => {
  const given = folderWith('none', [PROVIDERS[1] ?? '']);
  await assert.rejects(environmentFor(given), /--libraries: there is no libonnxruntime_providers_cuda\.so in /);
});
