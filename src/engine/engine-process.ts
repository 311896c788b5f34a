/**
 * One life of the engine child: it is forked, speaks the protocol, and ends for a reason that can be reported. `engine-host.ts` decides what
 * comes after.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf, systemCode } from '../lib/disk-errors.ts';
import { excerpt } from '../lib/foreign-text.ts';
import { gpuFault } from '../lib/gpu-errors.ts';
import { memoryRefusal } from '../lib/memory-errors.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
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

const SAID_LENGTH = 200;

/** After a kill nothing but the kernel can delay the end, and that cannot be waited for. */
const KILLED_PATIENCE_MS = 1000;

/**
 * Bounds the young generation of the engine's heap, in megabytes. Schedulers make much garbage, and V8 answered with 50 MB more within 300 images
 * (`npm run soak`). Tensors lie outside of the heap.
 */
const HEAP_FLAG = '--max-semi-space-size=4';

export class EngineProcess {
  /** Undefined where it could not even be started. */
  readonly #child: ChildProcess | undefined;
  readonly #options: EngineProcessOptions;
  readonly #lastLines: string[] = [];
  readonly #oomKillsBefore = countOomKills();
  readonly #exited = Promise.withResolvers<void>();
  #hasEnded = false;
  /** Why the host ended it, if it did. */
  #endedBecause: Text2ImgError | undefined;

  constructor(options: EngineProcessOptions) {
    this.#options = options;
    try {
      this.#child = fork(options.childPath, [], {
        serialization: 'advanced',
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        execArgv: [...process.execArgv, HEAP_FLAG],
        ...omitUndefined({ env: options.environment }),
      });
    } catch (error) {
      // Reported as every other end is: after the constructor.
      queueMicrotask(() => this.#failToStart(error as Error));
      return;
    }
    this.#listen(this.#child);
    const { pid } = this.#child;
    if (process.platform === 'linux' && pid !== undefined)
      writeFile(`/proc/${pid}/oom_score_adj`, CHILD_OOM_SCORE).catch(() => undefined);
  }

  /** While there is such a process. */
  get pid(): number | undefined {
    const hasExited = this.#child?.exitCode !== null || this.#child.signalCode !== null;
    return hasExited ? undefined : this.#child?.pid;
  }

  send(message: ParentMessage): void {
    // A channel that breaks while sending is followed by the child's end, which is reported.
    if (this.#child?.connected === true) this.#child.send(message, () => undefined);
  }

  /** Ends it at once. `onExit` gets `reason` now: a process that waits inside the kernel may take its time to disappear. */
  kill(reason: Text2ImgError): void {
    this.#endedBecause ??= reason;
    this.#child?.kill('SIGKILL');
    this.#end(this.#endedBecause);
  }

  /** Asks it to end and waits; kills it after `patienceMs`. */
  async stop(patienceMs: number): Promise<void> {
    const stopped = new Text2ImgError('engine_unavailable', 'the engine was stopped.');
    this.#endedBecause ??= stopped;
    this.send({ type: 'shutdown' });
    const killing = setTimeout(() => this.kill(stopped), patienceMs);
    const leaving = setTimeout(() => this.#exited.resolve(), patienceMs + KILLED_PATIENCE_MS);
    await this.#exited.promise;
    clearTimeout(killing);
    clearTimeout(leaving);
  }

  #listen(child: ChildProcess): void {
    // An engine in the middle of a step, or one that hangs, would outlive a process that ends at once.
    const killWithUs = (): void => void child.kill('SIGKILL');
    process.once('exit', killWithUs);
    this.#exited.promise.finally(() => process.off('exit', killWithUs)).catch(() => undefined);
    this.#keepLines(child.stdout);
    this.#keepLines(child.stderr);
    child.on('message', (message) => this.#receive(message));
    child.once('error', (error) => this.#failToStart(error));
    // 'close' comes after the last line of standard error, which may say why.
    child.once('close', (code, signal) => {
      this.#exited.resolve();
      this.#end(this.#exitReason(code, signal));
    });
  }

  /** Also where a signal could not be sent; then it has not ended. */
  #failToStart(error: Error): void {
    if (this.#child?.pid !== undefined) return;
    this.#exited.resolve();
    this.#end(
      new Text2ImgError('engine_unavailable', `the engine process cannot be started: ${startFault(error)}.`, {
        cause: error,
      }),
    );
  }

  #end(reason: Text2ImgError): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#options.onExit(reason);
  }

  /** @param stream undefined where the process could not be started for want of file descriptors */
  #keepLines(stream: Readable | null | undefined): void {
    if (stream === null || stream === undefined) return;
    createInterface({ input: stream }).on('line', (line) => {
      this.#lastLines.push(line);
      if (this.#lastLines.length > KEPT_LINES) this.#lastLines.shift();
      this.#options.logger.debug('engine output', { line });
    });
  }

  #receive(raw: unknown): void {
    // The messages that a child sends after its end was decided are not trusted.
    if (this.#hasEnded) return;
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
          `the engine has protocol ${protocolVersion}, this program ${PROTOCOL_VERSION}.`,
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
    const detail = said === undefined ? '' : `; it last said: ${excerpt(said.trim(), SAID_LENGTH)}`;
    if (countOomKills() > this.#oomKillsBefore && signal === 'SIGKILL') {
      return new Text2ImgError('engine_out_of_memory', `the engine process ${how}: the system ran out of memory.`);
    }
    if (this.#lastLines.some((line) => memoryRefusal(line) !== undefined)) {
      return new Text2ImgError('engine_out_of_memory', `the engine process ${how}: it ran out of memory${detail}.`);
    }
    const fault = gpuFault(this.#lastLines.join('\n'));
    if (fault !== undefined)
      return new Text2ImgError(fault.code, `the engine process ${how}: ${fault.problem}. ${fault.advice}`);
    return new Text2ImgError('engine_crashed', `the engine process ${how}${detail}.`);
  }
}

/** Why the system starts no process. */
function startFault(error: Error): string {
  const code = systemCode(error);
  if (code === 'EMFILE' || code === 'ENFILE')
    return `too many files are open (${code}); raise the limit (ulimit -n) to 256 or more`;
  if (code === 'ENOMEM') return 'there is not enough memory (ENOMEM)';
  if (code === 'EAGAIN') return 'the limit of processes is reached (EAGAIN)';
  return messageOf(error);
}

/** How often this machine's kernel has killed for memory; 0 where it does not say. */
function countOomKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
