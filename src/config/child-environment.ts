/**
 * The environment of child processes. The engine child reads checkpoints of strangers, so it gets only what a runtime, a driver or a loader may need.
 * It gets no database, no webhook and no token.
 */
import type { Environment } from './environment.ts';

/** Whole names: where programs, the home folder, temporary files and languages are, on Linux, macOS and Windows. */
const ALLOWED: ReadonlySet<string> = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'TMPDIR',
  'TMP',
  'TEMP',
  'LANG',
  'LANGUAGE',
  'TZ',
  'XDG_CACHE_HOME',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'XDG_DATA_DIRS',
  'XDG_RUNTIME_DIR',
  // Windows does not start a program without some of these.
  'SYSTEMROOT',
  'SYSTEMDRIVE',
  'WINDIR',
  'COMSPEC',
  'PATHEXT',
  'USERPROFILE',
  'APPDATA',
  'LOCALAPPDATA',
  'PROGRAMDATA',
  'PROGRAMFILES',
  'NUMBER_OF_PROCESSORS',
  'PROCESSOR_ARCHITECTURE',
  // Node's own; NODE_AUTH_TOKEN and others of that beginning are secrets, so they are named one by one.
  'NODE_OPTIONS',
  'NODE_EXTRA_CA_CERTS',
  'NODE_V8_COVERAGE',
  'NODE_NO_WARNINGS',
  'NODE_COMPILE_CACHE',
  'NODE_DISABLE_COMPILE_CACHE',
  'UV_THREADPOOL_SIZE',
  // Windows of the WebGPU provider's driver.
  'DISPLAY',
  'WAYLAND_DISPLAY',
  'DRI_PRIME',
  'GLIBC_TUNABLES',
]);

/** Beginnings, by what reads them. */
const ALLOWED_BEGINNINGS = [
  // languages, the loader, memory allocators
  'LC_|LD_|DYLD_|MALLOC_|TCMALLOC_|JEMALLOC_|MIMALLOC_',
  // threads and arithmetic
  'OMP_|GOMP_|KMP_|MKL_|OPENBLAS_',
  // CUDA and its parts, other makers' counterparts, ONNX Runtime
  'CUDA_|CUDNN_|CUBLAS_|NVIDIA_|HIP_|ROCR_|ORT_|ONNXRUNTIME_',
  // Vulkan, its drivers, and the choice of one of several
  'VK_|DAWN_|MESA_|GALLIUM_|LIBGL_|EGL_|__GLX_|__EGL_|__NV_|__VK_',
].join('|');
const ALLOWED_BEGINNING = new RegExp(`^(?:${ALLOWED_BEGINNINGS})`);

/** Never passed on, not even with an allowed beginning. */
const SECRET = /TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|PRIVATE/i;

/**
 * ONNX Runtime 1.30 sends telemetry and keeps an identity of the device under the home folder. It does not if this is set or if it believes that it
 * runs in a test (`CI`).
 */
const NO_TELEMETRY = { ORT_DISABLE_TELEMETRY: '1' } as const;

export interface ChildEnvironmentOptions {
  /** Becomes the first entry of the loader's path, which it reads only when a process starts. */
  readonly libraryFolder?: string;
}

/** The environment for a child that loads ONNX Runtime or asks a driver. */
export function childEnvironment(
  environment: Environment,
  { libraryFolder }: ChildEnvironmentOptions = {},
): Environment {
  const needed = Object.entries(environment).filter(([name]) => mayPass(name));
  const loaderPath = libraryFolder === undefined ? {} : withFirst(libraryFolder, environment['LD_LIBRARY_PATH']);
  return { ...Object.fromEntries(needed), ...loaderPath, ...NO_TELEMETRY };
}

function mayPass(name: string): boolean {
  // Windows writes some names in mixed case.
  const isNeeded = ALLOWED.has(name) || ALLOWED.has(name.toUpperCase()) || ALLOWED_BEGINNING.test(name);
  return isNeeded && !SECRET.test(name);
}

function withFirst(folder: string, before: string | undefined): Environment {
  return { LD_LIBRARY_PATH: before === undefined || before === '' ? folder : `${folder}:${before}` };
}
