/** Errors in the web UI's two shapes: FastAPI's `detail` for the request's fault, and its own for the server's. */
import { inWebUiNames } from './txt2img-request.ts';
import type { ErrorAnswer, ErrorBody } from '../server/door.ts';

const SERVER_FAULT = 500;
/** FastAPI's status for what the request says wrongly, in place of the usual 400. */
const [BAD_REQUEST, UNPROCESSABLE] = [400, 422];

export function errorBody({ error, status }: ErrorAnswer): ErrorBody {
  const contentType = 'application/json; charset=utf-8';
  const { code, fault } = error;
  const message = fault === 'request' ? inWebUiNames(error.message) : error.message;
  if (status >= SERVER_FAULT) return { contentType, body: { error: code, detail: message, body: '', errors: message } };
  const detail = code === 'not_found' ? 'Not Found' : message;
  return { contentType, body: { detail }, status: status === BAD_REQUEST ? UNPROCESSABLE : status };
}
