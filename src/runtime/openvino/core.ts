/** OpenVINO's core: one per library and process. It checks the release, and says in our errors what a function's status means. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { excerpt, quote } from '../../lib/foreign-text.ts';
import { memoryRefusal } from '../../lib/memory-errors.ts';
import { type Box, type Handle, loadFunctions, type OpenVinoFunctions, STATUS } from './bindings.ts';
import { errorText } from './error-text.ts';
import { OPENVINO_SETUP, openvinoUnavailable, requireLibraries } from './library-folder.ts';
import { OPENVINO_VERSION } from './release.ts';

const cores = new Map<string, Promise<OpenVinoCore>>();

/** @param folder with OpenVINO's libraries @throws `runtime_unavailable` */
export async function openCore(folder: string): Promise<OpenVinoCore> {
  const known = cores.get(folder);
  if (known !== undefined) return await known;
  const core = OpenVinoCore.load(folder);
  cores.set(folder, core);
  // The libraries may be mended meanwhile.
  core.catch(() => cores.delete(folder));
  return await core;
}

export class OpenVinoCore {
  readonly functions: OpenVinoFunctions;
  readonly handle: Handle;

  private constructor(functions: OpenVinoFunctions) {
    this.functions = functions;
    this.handle = this.make('OpenVINO could not be started', (box) => functions.createCore(box));
  }

  static async load(folder: string): Promise<OpenVinoCore> {
    const functions = await loadFunctions(requireLibraries(folder));
    const version: { buildNumber?: string } = {};
    functions.version(version);
    const { buildNumber = '' } = version;
    // "2026.4.1-22982-…": the release, then the build.
    if (buildNumber.split('-')[0] !== OPENVINO_VERSION)
      throw openvinoUnavailable(
        `the library in ${folder} is of release ${quote(buildNumber)}, not ${OPENVINO_VERSION}. Run "${OPENVINO_SETUP}" to download it again.`,
      );
    return new OpenVinoCore(functions);
  }

  /** A property of the CPU. */
  property(key: string): string {
    const text = this.make(`OpenVINO has no property ${key}`, (box) =>
      this.functions.getProperty(this.handle, 'CPU', key, box),
    );
    return this.#take(text);
  }

  /** The object that a function made. @throws as `check` */
  make(what: string, call: (box: Box) => number): Handle {
    const box: Box = [null];
    this.check(what, call(box));
    return made(what, box);
  }

  /** As `make`, on a thread of its own. */
  async makeLater(what: string, call: (box: Box) => Promise<number>): Promise<Handle> {
    const box: Box = [null];
    this.check(what, await call(box));
    return made(what, box);
  }

  /** @throws `cancelled`, `engine_out_of_memory`, `inference_failed` where a function failed */
  check(what: string, status: number): void {
    if (status === STATUS.ok) return;
    if (status === STATUS.cancelled) throw new Text2ImgError('cancelled', 'the run of a network was cancelled.');
    const address = this.functions.lastError();
    const message = address === null ? '' : this.#take(address);
    const refusal = memoryRefusal(message);
    if (refusal !== undefined)
      throw new Text2ImgError('engine_out_of_memory', `there is not enough memory for the model: ${refusal}.`);
    const said = errorText(message);
    throw new Text2ImgError(
      'inference_failed',
      `${what}: ${said === '' ? `status ${status}` : excerpt(said, QUOTED_LENGTH)}`,
    );
  }

  /** A text of OpenVINO, which it leaves to us. */
  #take(address: Handle): string {
    try {
      return this.functions.textAt(address);
    } finally {
      this.functions.freeText(address);
    }
  }
}

/** Of OpenVINO's message in a sentence. */
const QUOTED_LENGTH = 400;

function made(what: string, [handle]: Box): Handle {
  if (handle === null) throw new Text2ImgError('inference_failed', `${what}: OpenVINO made nothing.`);
  return handle;
}
