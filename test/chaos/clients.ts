/** The servers' clients: a few of them at a time, each of which sends one request after the other and repeats it as real clients do, until it has an answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Deck } from './deck.ts';
import type { Asking } from './asking.ts';
import { CLIENT_KINDS, type ClientKind, type ClientRequest, clientText, isKeyed } from './client-record.ts';
import { askJobs } from './jobs-client.ts';
import { askSdk, breakUpload, leave, readSlowly } from './openai-client.ts';
import type { Random } from './random.ts';
import type { ServerPlace } from './server-place.ts';

const CLIENTS = 8;
/** From the healing on; more than all pauses of a client together. */
const PATIENCE_MS = 150_000;

export interface ClientsOptions {
  readonly servers: readonly ServerPlace[];
  readonly random: Random;
}

export class Clients {
  readonly requests: ClientRequest[] = [];
  readonly #servers: readonly ServerPlace[];
  readonly #random: Random;
  readonly #deck: Deck<ClientKind>;
  #turn = 0;
  #running: Promise<void> = Promise.resolve();

  constructor({ servers, random }: ClientsOptions) {
    this.#servers = servers;
    this.#random = random;
    this.#deck = new Deck<ClientKind>(CLIENT_KINDS, random);
  }

  /** Until the signal no request is the last one. */
  run(signal: AbortSignal): void {
    const loops = Array.from({ length: CLIENTS }, async () => {
      while (!signal.aborted) {
        await this.#one().catch((error: unknown) => console.error('a client of the test is broken', error));
        await sleep(this.#random.between(0, 300));
      }
    });
    this.#running = Promise.all(loops).then(() => undefined);
  }

  /** @returns whether all requests have ended */
  async untilAnswered(): Promise<boolean> {
    const patience = new AbortController();
    const gaveUp = sleep(PATIENCE_MS, false, { signal: patience.signal }).catch(() => false);
    const isDone = await Promise.race([this.#running.then(() => true), gaveUp]);
    patience.abort();
    return isDone;
  }

  /** The kinds of clients that never came, and what never happened to any. */
  missing(): readonly string[] {
    const [keyed, keyless] = [this.requests.filter(isKeyed), this.requests.filter((request) => !isKeyed(request))];
    const hasBroken = ({ attempts }: ClientRequest): boolean => attempts.some(({ status }) => status === undefined);
    return [
      ...this.#deck.missing().map((kind) => `client: ${kind}`),
      ...(keyed.some(hasBroken) ? [] : ['client: a broken connection under an Idempotency-Key']),
      ...(keyless.some(hasBroken) ? [] : ['client: a broken connection without a key']),
    ];
  }

  async #one(): Promise<void> {
    const kind = this.#deck.draw();
    const number = this.requests.length;
    const random = this.#random;
    const documents = kind === 'jobs' || kind === 'jobsTwice' ? 1 + random.below(3) : 1;
    const texts = Array.from({ length: documents }, (_, index) => clientText(number, index, orderOf(kind, random)));
    const request: ClientRequest = { number, kind, texts, attempts: [] };
    this.requests.push(request);
    request.outcome = await ask(kind, { request, random, pickServer: () => this.#pickServer() });
  }

  #pickServer(): string | undefined {
    return this.#servers[this.#turn++ % this.#servers.length]?.url;
  }
}

/** What the engine should do with it. */
function orderOf(kind: ClientKind, random: Random): string {
  // With its wait longer than the fifteen seconds after which the server cancels it; the engine counts as stalled after five in a step.
  if (kind === 'leaver' && random.chance(0.3)) return ' [slow 4500]';
  return random.chance(0.5) ? ` [slow ${random.below(400)}]` : '';
}

async function ask(kind: ClientKind, asking: Asking): Promise<NonNullable<ClientRequest['outcome']>> {
  switch (kind) {
    case 'patient':
    case 'withKey':
      return askSdk(asking, { timeoutMs: 300_000 });
    case 'impatient':
      return askSdk(asking, { timeoutMs: asking.random.between(2500, 8000) });
    case 'slowReader':
      return readSlowly(asking);
    case 'leaver':
      return leave(asking);
    case 'brokenUpload':
      return breakUpload(asking);
    case 'jobs':
      return askJobs(asking, { isTwice: false });
    case 'jobsTwice':
      return askJobs(asking, { isTwice: true });
  }
}
