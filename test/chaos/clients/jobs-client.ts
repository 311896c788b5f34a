/** A client of the jobs API: it adds prompts under an Idempotency-Key, asks until they have ended, and gets their images. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Asking } from './asking.ts';
import type { Outcome, ReceivedImage } from './client-record.ts';
import { type Got, pauseMs, send, type Sending, sha256Of } from './send.ts';

const PATH = '/api/v1/prompts';
const MAX_TRIES = 100;
/** A prompt that has not ended after so many questions is a finding. */
const MAX_QUESTIONS = 2000;

interface View {
  readonly id: string;
  readonly status: string;
  readonly error?: { readonly code: string };
  readonly images?: readonly { readonly url: string }[];
}

interface Refused {
  readonly status: number;
  readonly code: string | undefined;
}

export interface JobsOptions {
  /** The same request goes to both servers at once. */
  readonly isTwice?: boolean;
  /** It wants its jobs to end after so many seconds. */
  readonly cancelAfterS?: number;
}

export async function askJobs(asking: Asking, { isTwice = false, cancelAfterS }: JobsOptions = {}): Promise<Outcome> {
  const { random, request } = asking;
  const headers: Record<string, string> = {
    'idempotency-key': `chaos ${request.number}`,
    ...(random.chance(0.5) ? { prefer: `wait=${1 + random.below(10)}` } : {}),
    ...(cancelAfterS === undefined ? {} : { 'cancel-after': `${cancelAfterS}s` }),
  };
  const prompts = request.texts.map((text) => ({ text, width: 64, height: 64, model: request.modelName }));
  const sending = { path: PATH, headers, body: JSON.stringify(prompts) };
  const asked = await Promise.all(Array.from({ length: isTwice ? 2 : 1 }, () => untilAnswered(asking, sending)));
  for (const got of asked) noteIds(got);
  // Somebody who does not know any more whether he has sent it.
  if (random.chance(0.3)) noteIds(await untilAnswered(asking, sending));
  const [first] = asked;
  if (first === undefined || first.status >= 400) return errorOf(first?.attempt);
  const images: ReceivedImage[] = [];
  for (const { id } of viewsIn(first)) {
    const ended = await untilEnded(asking, id);
    if ('code' in ended) return isMeant(ended, cancelAfterS) ? { kind: 'cancelled' } : errorOf(ended);
    for (const [index] of (ended.images ?? []).entries()) {
      const got = await untilAnswered(asking, { path: `${PATH}/${id}/images/${index}.png`, method: 'GET' });
      if (got.status >= 400) return errorOf(got.attempt);
      images.push({ id, index, sha256: sha256Of(got.bytes) });
    }
  }
  return { kind: 'images', images };
}

function isMeant({ code }: Refused, cancelAfterS: number | undefined): boolean {
  return cancelAfterS !== undefined && code === 'cancelled';
}

async function untilEnded(asking: Asking, id: string): Promise<View | Refused> {
  for (let question = 0; question < MAX_QUESTIONS; question++) {
    const got = await untilAnswered(asking, { path: `${PATH}/${id}`, method: 'GET' });
    if (got.status >= 400) return { status: got.status, code: got.attempt.code };
    const view = JSON.parse(got.bytes.toString()) as View;
    if (view.status === 'completed') return view;
    if (view.status === 'error') return { status: 200, code: view.error?.code };
    await sleep(asking.random.between(100, 500));
  }
  throw new Error(`the prompt ${id} does not end`);
}

/** Repeated while the server says so, or does not answer. */
async function untilAnswered(asking: Asking, sending: Omit<Sending, 'retryCount'>): Promise<Got> {
  for (let retryCount = 0; ; retryCount++) {
    const got = await send(asking, { ...sending, retryCount }).catch(() => undefined);
    const isFinal = got !== undefined && (got.status < 400 || got.headers.get('x-should-retry') !== 'true');
    if (isFinal) return got;
    if (retryCount >= MAX_TRIES) throw new Error(`no answer to ${sending.path}`);
    await sleep(pauseMs(asking, got));
  }
}

function viewsIn({ bytes }: Got): readonly View[] {
  return (JSON.parse(bytes.toString()) as { prompts: readonly View[] }).prompts;
}

function noteIds(got: Got): void {
  if (got.status < 400) got.attempt.ids = viewsIn(got).map(({ id }) => id);
}

function errorOf(refused: { readonly status?: number; readonly code?: string | undefined } | undefined): Outcome {
  return { kind: 'error', status: refused?.status ?? 0, code: refused?.code };
}
