/** One place of a server, `text2img serve` without a worker: when its process ends, however, another takes it, on another port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { cleanEnvironment, launcher, root } from '../../e2e/run-cli.ts';
import { COLLECTION, MODELS } from '../settings.ts';

export interface ServerArguments {
  readonly mongoUri: string;
  readonly gcsUrl: string;
  readonly bucket: string;
  readonly keyFile: string;
}

/** One process. */
export interface ServerLife {
  readonly url: string;
  /** When it was told to end, or ended. Undefined: it lives. */
  endedMs?: number;
}

const ARGUMENTS = ['--port', '0', '--no-worker', '--grace-period', '1', '--collection', COLLECTION];
/** As the workers of this test call theirs; nothing of them is downloaded. */
const MODEL_LIST = MODELS.map((name) => `${name}=owner/${name}`).join(',');

export class ServerPlace {
  /** Those that came so far as to listen. */
  readonly lives: ServerLife[] = [];
  readonly #arguments: ServerArguments;
  #process: ChildProcess;
  #isClosing = false;

  constructor(serverArguments: ServerArguments) {
    this.#arguments = serverArguments;
    this.#process = this.#start();
  }

  /** Where the last process of this place listened that has come so far: it may be dead. Undefined: none has. */
  get url(): string | undefined {
    return this.lives.at(-1)?.url;
  }

  kill(signal: 'SIGKILL' | 'SIGTERM'): void {
    this.#noteEnd();
    this.#process.kill(signal);
  }

  /** @returns what thaws it */
  freeze(): () => void {
    const frozen = this.#process;
    frozen.kill('SIGSTOP');
    return () => void frozen.kill('SIGCONT');
  }

  close(): void {
    this.#isClosing = true;
    this.#process.kill('SIGCONT');
    this.#process.kill('SIGKILL');
  }

  #noteEnd(): void {
    const life = this.lives.at(-1);
    if (life !== undefined) life.endedMs ??= performance.now();
  }

  #start(): ChildProcess {
    const { mongoUri, gcsUrl, bucket, keyFile } = this.#arguments;
    const options = [...ARGUMENTS, '--models', MODEL_LIST, '--api-keys', keyFile];
    const child = spawn(process.execPath, [launcher, 'serve', ...options], {
      cwd: root,
      env: cleanEnvironment({ MONGO_URI: mongoUri, GCS_BUCKET: bucket, STORAGE_EMULATOR_HOST: gcsUrl }),
      stdio: ['ignore', 'pipe', process.env['CHAOS_LOG'] === undefined ? 'ignore' : 'inherit'],
    });
    createInterface({ input: child.stdout }).once('line', (url) => this.lives.push({ url }));
    child.once('exit', () => {
      this.#noteEnd();
      if (!this.#isClosing) this.#process = this.#start();
    });
    return child;
  }
}
