/** One place of a server, `text2img serve` without a worker: when its process ends, however, another takes it, on another port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { cleanEnvironment, launcher, root } from '../e2e/run-cli.ts';
import { COLLECTION } from './settings.ts';

export interface ServerArguments {
  readonly mongoUri: string;
  readonly gcsUrl: string;
  readonly bucket: string;
}

const ARGUMENTS = ['--port', '0', '--no-worker', '--grace-period', '1', '--collection', COLLECTION];
/** As the workers of this test call theirs; nothing of it is downloaded. */
const MODELS = ['--models', 'instant=owner/instant'];

export class ServerPlace {
  readonly #arguments: ServerArguments;
  #process: ChildProcess;
  #isClosing = false;
  #url: string | undefined;
  #started = 0;

  constructor(serverArguments: ServerArguments) {
    this.#arguments = serverArguments;
    this.#process = this.#start();
  }

  get process(): ChildProcess {
    return this.#process;
  }

  /** Where the last process of this place listened that has come so far: it may be dead. Undefined: none has. */
  get url(): string | undefined {
    return this.#url;
  }

  /** Processes until now. */
  get started(): number {
    return this.#started;
  }

  close(): void {
    this.#isClosing = true;
    this.#process.kill('SIGCONT');
    this.#process.kill('SIGKILL');
  }

  #start(): ChildProcess {
    const { mongoUri, gcsUrl, bucket } = this.#arguments;
    this.#started++;
    const child = spawn(process.execPath, [launcher, 'serve', ...ARGUMENTS, ...MODELS], {
      cwd: root,
      env: cleanEnvironment({ MONGO_URI: mongoUri, GCS_BUCKET: bucket, STORAGE_EMULATOR_HOST: gcsUrl }),
      stdio: ['ignore', 'pipe', process.env['CHAOS_LOG'] === undefined ? 'ignore' : 'inherit'],
    });
    createInterface({ input: child.stdout }).once('line', (line) => (this.#url = line));
    child.once('exit', () => {
      if (!this.#isClosing) this.#process = this.#start();
    });
    return child;
  }
}
