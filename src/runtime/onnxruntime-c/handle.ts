/** An object of ONNX Runtime that we own. It is released once, and its address is never given out afterwards. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Handle } from './bindings.ts';

/** The object stays at least until this is disposed. */
interface Hold extends Disposable {
  readonly address: Handle;
}

export class OwnedHandle implements Disposable {
  readonly #address: Handle;
  readonly #release: (address: Handle) => void;
  #isOwned = true;
  #holds = 0;

  constructor(address: Handle, release: (address: Handle) => void) {
    this.#address = address;
    this.#release = release;
  }

  /** @throws `internal` after it was disposed */
  get address(): Handle {
    if (!this.#isOwned)
      throw new Text2ImgError('internal', 'an object of ONNX Runtime was used after it was released.');
    return this.#address;
  }

  /** For a run on another thread: disposed meanwhile, the object is released afterwards. @throws `internal` after it was disposed */
  hold(): Hold {
    const { address } = this;
    this.#holds++;
    let isHeld = true;
    return {
      address,
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#holds--;
        if (this.#holds === 0 && !this.#isOwned) this.#release(address);
      },
    };
  }

  [Symbol.dispose](): void {
    if (!this.#isOwned) return;
    this.#isOwned = false;
    if (this.#holds === 0) this.#release(this.#address);
  }
}
