/** What goes wrong with single requests to the bucket and single webhooks, and how a bucket refuses for a while, as if for good. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, GcsRequest } from '../../servers/gcs-server.ts';
import type { Meeting } from '../coverage.ts';
import { Deck } from '../deck.ts';
import type { Random } from '../random.ts';

const BUCKET: Readonly<Record<string, Fault>> = {
  drop: { kind: 'drop' },
  'commit, then drop': { kind: 'commit-then-drop' },
  503: { kind: 'status', status: 503 },
  429: { kind: 'status', status: 429 },
  stall: { kind: 'stall' },
  slow: { kind: 'slow', ms: 300 },
  corrupt: { kind: 'corrupt' },
  'a log-in page': { kind: 'answer', status: 200, body: '<html>please log in</html>' },
  'an empty object': { kind: 'answer', status: 200, body: '{}' },
};

/** What looks permanent until somebody mends it. */
const REFUSALS: readonly Fault[] = [
  { kind: 'status', status: 403, reason: 'accountDisabled', message: 'The billing account is disabled.' },
  { kind: 'status', status: 403, reason: 'forbidden', message: 'storage.objects.create access is denied.' },
  { kind: 'status', status: 404, reason: 'notFound', message: 'The specified bucket does not exist.' },
  { kind: 'status', status: 400, reason: 'invalid', message: 'The KMS key cannot be used.' },
  { kind: 'status', status: 412, reason: 'orgPolicyViolated', message: 'A policy of the organisation forbids it.' },
];

const WEBHOOK = {
  503: 3,
  reset: 2,
  hang: 1,
  'trickle a head': 1,
  'trickle a body': 1,
  101: 1,
} as const;
type WebhookFault = keyof typeof WEBHOOK;

const BUCKET_CHANCE = 0.06;
const WEBHOOK_CHANCE = 0.1;

export class PeerFaults {
  readonly #random: Random;
  readonly #bucket: Deck<string>;
  readonly #webhook: Deck<`${WebhookFault}`>;
  #refusal: Fault | undefined;
  #isHealed = false;

  constructor(random: Random) {
    this.#random = random;
    this.#bucket = new Deck<string>(Object.fromEntries(Object.keys(BUCKET).map((kind) => [kind, 1])), random);
    this.#webhook = new Deck<`${WebhookFault}`>(WEBHOOK, random);
  }

  get counts(): { readonly bucket: object; readonly webhook: object } {
    return { bucket: Object.fromEntries(this.#bucket.counts), webhook: Object.fromEntries(this.#webhook.counts) };
  }

  meetings(): readonly Meeting[] {
    return [
      ...this.#bucket.meetings().map(({ what, times }) => ({ what: `bucket: ${what}`, times })),
      ...this.#webhook.meetings().map(({ what, times }) => ({ what: `webhook: ${what}`, times })),
    ];
  }

  heal(): void {
    this.#isHealed = true;
    this.#refusal = undefined;
  }

  refuseUploads(random: Random): void {
    this.#refusal = random.pick(REFUSALS);
  }

  acceptUploads(): void {
    this.#refusal = undefined;
  }

  bucketFault({ kind }: GcsRequest): Fault | undefined {
    if (this.#isHealed) return undefined;
    if (this.#refusal !== undefined && kind === 'upload') return this.#refusal;
    return this.#random.chance(BUCKET_CHANCE) ? BUCKET[this.#bucket.draw()] : undefined;
  }

  answerWebhook(response: ServerResponse): void {
    if (this.#isHealed || !this.#random.chance(WEBHOOK_CHANCE)) return void response.writeHead(204).end();
    const { socket } = response;
    switch (this.#webhook.draw()) {
      case '503':
        return void response.writeHead(503).end();
      case 'reset':
        return void socket?.resetAndDestroy();
      case 'hang':
        return;
      case '101':
        return void socket?.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
      case 'trickle a head':
        return void trickle(response, 'HTTP/1.1 200 OK\r\nX-Slow: '.padEnd(4000, 'x'));
      case 'trickle a body':
        return void trickle(response, `HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n${'x'.repeat(4000)}`);
    }
  }
}

/** Ten bytes every tenth of a second, until the other side has enough. */
async function trickle({ socket }: ServerResponse, text: string): Promise<void> {
  for (let at = 0; at < text.length && socket !== null && !socket.destroyed; at += 10) {
    socket.write(text.slice(at, at + 10));
    await sleep(100);
  }
}
