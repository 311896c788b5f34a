/** The query of a list of prompts. Parameters that nobody knows are ignored. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { JobStatus, ListOptions } from '../../queue/prompt-queue.ts';

export const STATUSES = ['pending', 'processing', 'completed', 'error'] as const satisfies readonly JobStatus[];
export const DEFAULT_PAGE = 20;
/** Each prompt may carry 64 KiB of text. */
export const LARGEST_API_PAGE = 100;
export const MAX_MODEL_LENGTH = 200;

/** @param query as the server parsed it: a text for each name, or a list where the name stands twice @throws `invalid_parameter` */
export function readListQuery(query: unknown): ListOptions {
  const given = isRecord(query) ? query : {};
  const [status, limit, cursor, model] = ['status', 'limit', 'cursor', 'model'].map((name) => oneText(given, name));
  return {
    limit: limitOf(limit),
    ...omitUndefined({ status: statusOf(status), after: cursor, model: modelOf(model) }),
  };
}

function oneText(query: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = own(query, name);
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  throw refusal(name, value, 'one value, not an empty one');
}

function statusOf(text: string | undefined): JobStatus | undefined {
  if (text === undefined) return undefined;
  const status = STATUSES.find((one) => one === text);
  if (status === undefined) throw refusal('status', text, STATUSES.join(', '));
  return status;
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PAGE;
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LARGEST_API_PAGE)
    throw refusal('limit', text, `whole numbers from 1 to ${LARGEST_API_PAGE}`);
  return limit;
}

function modelOf(text: string | undefined): string | undefined {
  if (text !== undefined && text.length > MAX_MODEL_LENGTH)
    throw refusal('model', text, `at most ${MAX_MODEL_LENGTH} characters`);
  return text;
}

function refusal(name: string, value: unknown, allowed: string): Text2ImgError {
  return new Text2ImgError('invalid_parameter', `The query "${name}" is ${quote(value)}; allowed: ${allowed}.`);
}
