/**
 * ONNX Runtime's environment: one per library and process. ONNX Runtime counts who asked for it, so the Node binding and this API share one. It also
 * says in our errors what a status means.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { runtimeError } from '../onnxruntime/runtime-error.ts';
import { type Box, type Handle, loadFunctions, LOG_LEVEL, MEMORY, type OrtFunctions } from './bindings.ts';
import { OwnedHandle } from './handle.ts';
import { requireLibrary } from './library.ts';

const environments = new Map<string, Promise<OrtEnvironment>>();

/** @param libraryPath absent: the library that `onnxruntime-node` loads @throws `runtime_unavailable` */
export async function openEnvironment(libraryPath = requireLibrary()): Promise<OrtEnvironment> {
  const known = environments.get(libraryPath);
  if (known !== undefined) return await known;
  const environment = OrtEnvironment.load(libraryPath);
  environments.set(libraryPath, environment);
  // The library may be mended meanwhile.
  environment.catch(() => environments.delete(libraryPath));
  return await environment;
}

export class OrtEnvironment {
  readonly functions: OrtFunctions;
  readonly handle: Handle;
  /** Of the host. */
  readonly hostMemory: Handle;
  /** Of arrays that functions make. */
  readonly allocator: Handle;

  private constructor(functions: OrtFunctions) {
    this.functions = functions;
    // Before anything else: without an environment every call fails with a sentence about a default logger.
    this.handle = this.#make((box) => functions.createEnvironment(LOG_LEVEL.warning, 'text2img', box));
    this.check(functions.disableTelemetry(this.handle));
    this.hostMemory = this.#make((box) => functions.createCpuMemory(MEMORY.arenaAllocator, MEMORY.defaultType, box));
    this.allocator = this.#make((box) => functions.defaultAllocator(box));
  }

  static async load(libraryPath: string): Promise<OrtEnvironment> {
    return new OrtEnvironment(await loadFunctions(libraryPath));
  }

  /** The object that a function made. @throws as `check` */
  own(call: (box: Box) => Handle | null, release: (address: Handle) => void): OwnedHandle {
    return new OwnedHandle(this.#make(call), release);
  }

  /** As `own`, on a thread of its own. */
  async ownLater(call: (box: Box) => Promise<Handle | null>, release: (address: Handle) => void): Promise<OwnedHandle> {
    const box: Box = [null];
    this.check(await call(box));
    return new OwnedHandle(madeIn(box), release);
  }

  /** @throws `engine_out_of_memory`, `inference_failed` where a function failed */
  check(status: Handle | null): void {
    if (status === null) return;
    try {
      throw runtimeError(this.functions.errorMessage(status));
    } finally {
      this.functions.releaseStatus(status);
    }
  }

  /** An address that a function left. @throws as `check` */
  addressFrom(call: (box: Box) => Handle | null): Handle | null {
    const box: Box = [null];
    this.check(call(box));
    return box[0];
  }

  #make(call: (box: Box) => Handle | null): Handle {
    const box: Box = [null];
    this.check(call(box));
    return madeIn(box);
  }
}

function madeIn([handle]: Box): Handle {
  if (handle === null) throw new Text2ImgError('inference_failed', 'ONNX Runtime made nothing.');
  return handle;
}
