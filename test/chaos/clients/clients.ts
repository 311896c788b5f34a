/** The servers' clients: a few of them at a time, each of which sends one request after the other and repeats it as real clients do, until it has an answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Meeting } from '../coverage.ts';
import { Deck } from '../deck.ts';
import type { Random } from '../random.ts';
import { type KeyName, MODELS, type Model } from '../settings.ts';
import type { ServerPlace } from '../stage/server-place.ts';
import { CLIENT_KINDS, type ClientKind, type ClientRequest, clientText, type Outcome } from './client-record.ts';
import { askJobs } from './jobs-client.ts';
import { breakUpload, leave, readSlowly } from './raw-client.ts';
import { askSdk } from './sdk-client.ts';
import { askStream } from './stream-client.ts';
import { askAsStranger } from './stranger-client.ts';
import { askWebUi, leaveWebUi } from './web-ui-client.ts';
import type { Asking } from './asking.ts';

const CLIENTS = 8;
/** From the healing on; more than all pauses of a client together. */
const PATIENCE_MS = 150_000;
/** At once, under a key that may have fewer open jobs. */
const BURST = 4;
const BURST_MS = 300;
/** The least that the jobs API takes. */
const CANCEL_AFTER_S = 5;

export interface ClientsOptions {
  readonly servers: readonly ServerPlace[];
  readonly secretOf: (key: KeyName) => string;
  readonly random: Random;
}

export class Clients {
  readonly requests: ClientRequest[] = [];
  readonly #options: ClientsOptions;
  readonly #random: Random;
  readonly #deck: Deck<ClientKind>;
  #turn = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ClientsOptions) {
    this.#options = options;
    this.#random = options.random;
    this.#deck = new Deck<ClientKind>(CLIENT_KINDS, options.random);
  }

  /** Until the signal no request is the last one. */
  run(signal: AbortSignal): void {
    const loops = Array.from({ length: CLIENTS }, async () => {
      while (!signal.aborted) {
        await this.#next().catch((error: unknown) => console.error('a client of the test is broken', error));
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

  meetings(): readonly Meeting[] {
    return this.#deck.meetings().map(({ what, times }) => ({ what: `client: ${what}`, times }));
  }

  async #next(): Promise<void> {
    const kind = this.#deck.draw();
    const requests = Array.from({ length: kind === 'limited' ? BURST : 1 }, async (_, place) => {
      // The limit is soft: requests at the same moment do not see one another.
      await sleep(place * BURST_MS);
      await this.#one(kind);
    });
    await Promise.all(requests);
  }

  async #one(kind: ClientKind): Promise<void> {
    const random = this.#random;
    const number = this.requests.length;
    const model = random.pick<Model>(MODELS);
    const request: ClientRequest = {
      number,
      kind,
      key: kind === 'limited' ? 'limited' : random.pick<KeyName>(['anna', 'ben']),
      model,
      // An OpenAI name means the default.
      modelName: model === MODELS[0] && random.chance(0.5) ? 'gpt-image-1' : model,
      texts: textsOf(kind, number, random),
      attempts: [],
    };
    this.requests.push(request);
    request.outcome = await ask(kind, {
      request,
      random,
      secret: this.#options.secretOf(request.key),
      pickServer: () => this.#pickServer(),
      foreignId: () => this.#foreignId(request),
    });
  }

  #pickServer(): string | undefined {
    const { servers } = this.#options;
    return servers[this.#turn++ % servers.length]?.url;
  }

  #foreignId({ key }: ClientRequest): string | undefined {
    const foreign = this.requests.filter((request) => request.key !== key);
    return this.#random.pick(foreign.flatMap(({ attempts }) => attempts.flatMap(({ ids = [] }) => ids)));
  }
}

function textsOf(kind: ClientKind, number: number, random: Random): readonly string[] {
  const isJobs = kind === 'jobs' || kind === 'jobsTwice';
  const text = (index: number): string => clientText(number, index, orderOf(kind, random));
  if (isJobs) return Array.from({ length: 1 + random.below(3) }, (_, index) => text(index));
  const isWebUi = kind === 'webUi' || kind === 'webUiLeaver';
  const only = text(0);
  // Passes of one request have one text.
  return Array.from({ length: isWebUi ? 1 + random.below(2) : 1 }, () => only);
}

/** What the engine should do with it, where it is special. It counts as stalled after five seconds in a step. */
const ORDERS: Partial<Record<ClientKind, (random: Random) => string>> = {
  leaver: leaversOrder,
  webUiLeaver: leaversOrder,
  cancelAfter: (random) => (random.chance(0.8) ? ' [slow 4500]' : ''),
  // Long enough for previews, of which a worker makes one a second.
  streaming: (random) => (random.chance(0.7) ? ' [slow 1500]' : ''),
  largeReader: () => ' [noise]',
  // So that the others of its burst find it open.
  limited: () => ' [slow 600]',
};

/** With its wait longer than the fifteen seconds after which the server cancels it. */
function leaversOrder(random: Random): string {
  return random.chance(0.8) ? ' [slow 4500]' : ` [slow ${random.below(400)}]`;
}

function orderOf(kind: ClientKind, random: Random): string {
  const special = ORDERS[kind];
  if (special !== undefined) return special(random);
  return random.chance(0.5) ? ` [slow ${random.below(400)}]` : '';
}

async function ask(kind: ClientKind, asking: Asking): Promise<Outcome> {
  switch (kind) {
    case 'patient':
    case 'withKey':
    case 'limited':
      return askSdk(asking, { timeoutMs: 300_000 });
    case 'impatient':
      return askSdk(asking, { timeoutMs: asking.random.between(2500, 8000) });
    case 'streaming':
      return askStream(asking);
    case 'slowReader':
      return readSlowly(asking, 'small');
    case 'largeReader':
      return readSlowly(asking, 'large');
    case 'leaver':
      return leave(asking);
    case 'brokenUpload':
      return breakUpload(asking);
    case 'webUi':
      return askWebUi(asking);
    case 'webUiLeaver':
      return leaveWebUi(asking);
    case 'jobs':
      return askJobs(asking);
    case 'jobsTwice':
      return askJobs(asking, { isTwice: true });
    case 'cancelAfter':
      return askJobs(asking, { cancelAfterS: CANCEL_AFTER_S });
    case 'stranger':
      return askAsStranger(asking);
  }
}
