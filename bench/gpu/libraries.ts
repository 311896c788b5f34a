/**
 * The libraries that the CUDA provider needs, put where the loader finds them: the provider from a folder (`--libraries`) or downloaded, and NVIDIA's from
 * the same folder, from the packages of a Python with PyTorch, or from the system.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, globSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { dataHome } from '../../src/config/user-folders.ts';
import { fetchCuda } from '../../src/runtime/onnxruntime/cuda/fetch-cuda.ts';

const PROVIDERS = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so'];
const OWN = 'libonnxruntime.so.1';
/** `readelf -d libonnxruntime_providers_cuda.so` of ONNX Runtime 1.30.0, and cuDNN with NVRTC, which are opened when they are needed. */
const NEEDED = [
  'libcudart.so.13',
  'libcublas.so.13',
  'libcublasLt.so.13',
  'libcurand.so.10',
  'libcudnn.so.9',
  'libnvrtc.so.13',
];
const SYSTEM_FOLDERS = ['/usr/local/cuda/lib64', '/usr/local/cuda/targets/x86_64-linux/lib'];

interface Wanted {
  /** Absent: they are downloaded. */
  readonly libraries: string | undefined;
  readonly python: string | undefined;
  readonly workFolder: string;
}

/** @returns variables for the processes that load the provider @throws a sentence that names what is missing */
export async function cudaEnvironment({
  libraries,
  python,
  workFolder,
}: Wanted): Promise<Readonly<Record<string, string>>> {
  const given = libraries === undefined ? await fetchCuda({ dataHome: dataHome(process.env) }) : resolve(libraries);
  const provider = linkProvider(given, join(workFolder, 'provider'));
  const folders = findFolders([given, ...pythonFolders(python), ...systemFolders()]);
  const path = [provider, ...folders, process.env['LD_LIBRARY_PATH'] ?? ''].filter((folder) => folder !== '');
  return {
    LD_LIBRARY_PATH: [...new Set(path)].join(':'),
    // nvidia-smi counts the GPUs in this order.
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    ORT_DISABLE_TELEMETRY: '1',
  };
}

/** ONNX Runtime looks for the provider beside its own library. */
function linkProvider(given: string, folder: string): string {
  const missing = PROVIDERS.filter((name) => !existsSync(join(given, name)));
  if (missing.length > 0) throw new Error(`--libraries: there is no ${missing.join(' and no ')} in ${given}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of PROVIDERS) symlinkSync(join(given, name), join(folder, name));
  const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  copyFileSync(join(dirname(manifest), 'bin', 'napi-v6', 'linux', 'x64', OWN), join(folder, OWN));
  return folder;
}

/** @returns a folder for each library, without repeats @throws the names of those that are nowhere */
function findFolders(places: readonly string[]): readonly string[] {
  const known = places.map((folder) => ({ folder, names: existsSync(folder) ? readdirSync(folder) : [] }));
  const found = NEEDED.map((name) => known.find(({ names }) => names.includes(name))?.folder);
  const missing = NEEDED.filter((_, index) => found[index] === undefined);
  if (missing.length > 0)
    throw new Error(
      `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing; name a folder that has them with --libraries, or a Python whose PyTorch brings them with --python`,
    );
  return [...new Set(found.filter((folder) => folder !== undefined))];
}

/** NVIDIA's packages put their libraries below `site-packages/nvidia`. */
function pythonFolders(python: string | undefined): readonly string[] {
  if (python === undefined) return [];
  const { stdout } = spawnSync(python, ['-c', 'import sys; print("\\n".join(sys.path))'], { encoding: 'utf8' });
  return (stdout ?? '')
    .split('\n')
    .filter((folder) => folder !== '')
    .flatMap((folder) => globSync('nvidia/**/lib', { cwd: folder }).map((found) => join(folder, found)));
}

function systemFolders(): readonly string[] {
  const { stdout } = spawnSync('ldconfig', ['-p'], {
    encoding: 'utf8',
    env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' },
  });
  const listed = Array.from((stdout ?? '').matchAll(/=> (\/\S+)/g), ([, path = '']) => path)
    .filter((path) => NEEDED.some((name) => path.endsWith(`/${name}`)))
    .map(dirname);
  const stated = (process.env['LD_LIBRARY_PATH'] ?? '').split(':');
  return [...stated, ...listed, ...SYSTEM_FOLDERS];
}
