/** One place of a worker: when its process ends, however, another with a new name takes it. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type Ailment, makeAilment } from '../../engine/instant-engine.ts';
import { MODELS, type Model } from '../settings.ts';

const WORKER = fileURLToPath(new URL('chaos-worker.ts', import.meta.url));

/** What all workers are given. */
export interface WorkerArguments {
  readonly mongoUri: string;
  readonly gcsUrl: string;
  readonly callbackUrl: string;
  readonly leaseMs: number;
  /** A folder of each model's name is in it. */
  readonly modelsFolder: string;
}

/** What `chaos-worker.ts` is given, as JSON. */
export interface WorkerOrders extends WorkerArguments {
  readonly owner: string;
  readonly models: readonly Model[];
  readonly engines: number;
  /** Tenants take turns. */
  readonly isFair: boolean;
}

export class WorkerPlace {
  readonly #number: number;
  readonly #arguments: WorkerArguments;
  readonly #ailment: Ailment;
  #process: ChildProcess | undefined;
  #isClosing = false;
  #started = 0;
  #kills = 0;

  private constructor(number: number, workerArguments: WorkerArguments, ailment: Ailment) {
    this.#number = number;
    this.#arguments = workerArguments;
    this.#ailment = ailment;
    this.#start();
  }

  static async open(number: number, workerArguments: WorkerArguments): Promise<WorkerPlace> {
    return new WorkerPlace(number, workerArguments, await makeAilment());
  }

  get process(): ChildProcess {
    return this.#process as ChildProcess;
  }

  /** One of its engines: the other one, if it has two, goes on. */
  async killEngine(): Promise<void> {
    const { pid } = this.process;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    const pids = children.trim().split(' ').filter(Boolean).map(Number);
    const engine = pids[this.#kills++ % pids.length];
    if (engine !== undefined) process.kill(engine, 'SIGKILL');
  }

  /** What its engine suffers from, as the instant child knows it; empty: nothing. */
  async ail(ailment: string): Promise<void> {
    await this.#ailment.set(ailment);
  }

  close(): void {
    this.#isClosing = true;
    this.process.kill('SIGCONT');
    this.process.kill('SIGKILL');
  }

  #start(): void {
    const orders: WorkerOrders = {
      ...this.#arguments,
      ...kindOf(this.#number),
      owner: `w${this.#number}.${this.#started++}`,
    };
    const worker = fork(WORKER, [JSON.stringify(orders)], {
      stdio: ['ignore', 'ignore', process.env['CHAOS_LOG'] === undefined ? 'ignore' : 'inherit', 'ipc'],
      env: this.#ailment.environment,
    });
    this.#process = worker;
    void once(worker, 'exit').then(() => {
      if (!this.#isClosing) this.#start();
    });
  }
}

/** Two places for each model and two that swap both; every second place has two engines; in the second half tenants take turns. */
function kindOf(number: number): Pick<WorkerOrders, 'models' | 'engines' | 'isFair'> {
  const [first, second] = MODELS;
  const models: readonly (readonly Model[])[] = [[first], [second], [first, second]];
  return { models: models[number % models.length] ?? MODELS, engines: 1 + (number % 2), isFair: number >= 3 };
}
