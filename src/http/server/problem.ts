/** Errors as problem details (RFC 9457), with the project's own stable codes: of the jobs API, and where no API is concerned. */
import { ERROR_CODES, type ErrorCode } from '../../errors/error-codes.ts';
import type { ErrorAnswer } from './door.ts';
import type { Schema } from '../openapi/route-record.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export interface Problem {
  /** Stable, and no address: docs/errors.md lists the codes. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly request_id: string;
}

export function problemOf({ error, status, requestId }: ErrorAnswer): Problem {
  const { code, message } = error;
  return {
    type: `urn:text2img:error:${code}`,
    title: ERROR_CODES[code].meaning,
    status,
    detail: message,
    code,
    request_id: requestId,
  };
}

export const PROBLEM_SCHEMA: Schema = {
  type: 'object',
  description: 'Problem details (RFC 9457).',
  properties: {
    type: { type: 'string', format: 'uri', description: '`urn:text2img:error:` and the code.' },
    title: { type: 'string', description: 'The meaning of the code; the same for each error with it.' },
    status: { type: 'integer', description: 'The HTTP status.' },
    detail: { type: 'string', description: 'A sentence that names the value and what is allowed.' },
    code: { type: 'string', enum: Object.keys(ERROR_CODES), description: 'A code of docs/errors.md.' },
    request_id: { type: 'string', description: 'As in `x-request-id`.' },
  },
  required: ['type', 'title', 'status', 'detail', 'code', 'request_id'],
};
