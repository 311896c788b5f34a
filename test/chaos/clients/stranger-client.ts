/** Somebody who asks for what is not his: a document of another key, and everything under a key that does not exist. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Asking } from './asking.ts';
import type { Outcome } from './client-record.ts';
import { imagesBody, OPENAI_PATH } from './openai-answer.ts';
import { type Got, pauseMs, send, type Sending } from './send.ts';

const MAX_TRIES = 60;
const WRONG_KEY = { authorization: `Bearer t2i_${'x'.repeat(43)}` };

export async function askAsStranger(asking: Asking): Promise<Outcome> {
  const foreign = asking.foreignId();
  const path = `/api/v1/prompts/${foreign ?? 'none-at-all'}`;
  const questions: readonly Omit<Sending, 'retryCount'>[] = [
    { method: 'GET', path, mustBe: 404 },
    { method: 'DELETE', path, mustBe: 404 },
    { method: 'GET', path, headers: WRONG_KEY, mustBe: 401 },
    { path: OPENAI_PATH, headers: WRONG_KEY, body: JSON.stringify(imagesBody(asking.request)), mustBe: 401 },
  ];
  for (const question of questions) await untilAnswered(asking, question);
  return { kind: 'refused' };
}

/** Repeated while the server or its queue is away. */
async function untilAnswered(asking: Asking, question: Omit<Sending, 'retryCount'>): Promise<Got> {
  for (let tries = 1; ; tries++) {
    const got = await send(asking, { ...question, retryCount: 0 }).catch(() => undefined);
    if (got !== undefined && got.headers.get('x-should-retry') !== 'true') return got;
    if (tries >= MAX_TRIES) throw new Error(`no answer to ${question.path}`);
    await sleep(pauseMs(asking, got));
  }
}
