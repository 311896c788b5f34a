/**
 * One life of the engine child: it is forked, speaks the protocol, and ends for a reason that can be told. `engine-host.ts` decides what
 * comes after.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { Logger } from '../observability/logger.ts';
import { type ChildMessage, childMessageSchema, type ParentMessage, PROTOCOL_VERSION } from './protocol.ts';

export interface EngineProcessOptions {
  readonly childPath: string;
  /** The child's whole environment; default: the parent's. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  onMessage(message: ChildMessage): void;
  /** Called once, however the child ends. */
  onExit(reason: Text2ImgError): void;
}

/** Lines of the child's standard error that are kept to explain its end. */
const KEPT_LINES = 20;

/** The kernel's out-of-memory killer takes processes of a high score first: the child with the model, not the parent with the claims. */
const CHILD_OOM_SCORE = '500';

export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #options: EngineProcessOptions;
  readonly #lastLines: string[] = [];
  readonly #oomKillsBefore = countOomKills();
  readonly #exited: Promise<void>;
  /** Why the host ended it, if it did. */
  #endedBecause: Text2ImgError | undefined;

  constructor(options: EngineProcessOptions) {
    this.#options = options;
    this.#child = fork(options.childPath, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      ...(options.environment === undefined ? {} : { env: options.environment }),
    });
    this.#keepLines(this.#child.stdout);
    this.#keepLines(this.#child.stderr);
    this.#child.on('message', (message) => this.#receive(message));
    this.#exited = new Promise((resolve) => {
      let ended = false;
      const end = (reason: Text2ImgError): void => {
        if (ended) return;
        ended = true;
        resolve();
        options.onExit(reason);
      };
      this.#child.once('error', (error) =>
        end(
          new Text2ImgError('engine_unavailable', `the engine process cannot be started: ${error.message}.`, {
            cause: error,
          }),
        ),
      );
      // 'close' comes after the last line of standard error, which may say why.
      this.#child.once('close', (code, signal) => end(this.#exitReason(code, signal)));
    });
    if (process.platform === 'linux' && this.#child.pid !== undefined) {
      writeFile(`/proc/${this.#child.pid}/oom_score_adj`, CHILD_OOM_SCORE).catch(() => undefined);
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: ParentMessage): void {
    // A channel that breaks while sending is followed by the child's end, which is reported.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Ends it at once; `onExit` gets `reason`. */
  kill(reason: Text2ImgError): void {
    this.#endedBecause ??= reason;
    this.#child.kill('SIGKILL');
  }

  /** Asks it to end and waits; kills it after `patienceMs`. */
  async stop(patienceMs: number): Promise<void> {
    const stopped = new Text2ImgError('engine_unavailable', 'the engine was stopped.');
    this.#endedBecause ??= stopped;
    this.send({ type: 'shutdown' });
    const timer = setTimeout(() => this.kill(stopped), patienceMs);
    await this.#exited;
    clearTimeout(timer);
  }

  #keepLines(stream: Readable | null): void {
    if (stream === null) return;
    createInterface({ input: stream }).on('line', (line) => {
      this.#lastLines.push(line);
      if (this.#lastLines.length > KEPT_LINES) this.#lastLines.shift();
      this.#options.logger.debug('engine output', { line });
    });
  }

  #receive(raw: unknown): void {
    // What a child sends after its end was decided is not trusted.
    if (this.#child.killed) return;
    const parsed = childMessageSchema.safeParse(raw);
    if (!parsed.success) {
      this.kill(
        new Text2ImgError(
          'engine_crashed',
          `the engine sent a message that is not of the protocol: ${parsed.error.issues[0]?.message ?? ''}.`,
        ),
      );
    } else if (parsed.data.type === 'hello' && parsed.data.protocolVersion !== PROTOCOL_VERSION) {
      const { protocolVersion } = parsed.data;
      this.kill(
        new Text2ImgError(
          'engine_unavailable',
          `the engine speaks protocol ${protocolVersion}, this program ${PROTOCOL_VERSION}.`,
        ),
      );
    } else {
      this.#options.onMessage(parsed.data);
    }
  }

  #exitReason(code: number | null, signal: NodeJS.Signals | null): Text2ImgError {
    if (this.#endedBecause !== undefined) return this.#endedBecause;
    const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
    const said = this.#lastLines.findLast((line) => line.trim() !== '');
    const detail = said === undefined ? '' : `; it last said: ${said.trim().slice(0, 200)}`;
    if (countOomKills() > this.#oomKillsBefore && signal === 'SIGKILL') {
      return new Text2ImgError('engine_out_of_memory', `the engine process ${how}: the system ran out of memory.`);
    }
    if (this.#lastLines.some((line) => /bad_alloc|heap out of memory|Failed to allocate memory/i.test(line))) {
      return new Text2ImgError('engine_out_of_memory', `the engine process ${how}: it ran out of memory${detail}.`);
    }
    return new Text2ImgError('engine_crashed', `the engine process ${how}${detail}.`);
  }
}

/** How often this machine's kernel has killed for memory; 0 where it does not say. */
function countOomKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
