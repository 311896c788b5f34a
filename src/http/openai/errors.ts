/** Errors in OpenAI's shape, as its SDKs read them: `message`, `type`, `param`, `code`. */
import type { Text2ImgError } from '../../errors/text2img-error.ts';

export interface OpenAiError {
  readonly message: string;
  readonly type: string;
  /** The field at fault, in the name that the client used. */
  readonly param: string | null;
  readonly code: string;
}

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  429: 'rate_limit_error',
};

export function openAiError(error: Text2ImgError, status: number): OpenAiError {
  const type = TYPES[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
  return { message: error.message, type, param: paramOf(error), code: error.code };
}

/** Refusals of a field begin with its name in quotation marks. */
function paramOf({ code, fault, message }: Text2ImgError): string | null {
  if (code === 'model_not_found') return 'model';
  const isAboutField = fault === 'request' || code === 'not_implemented';
  return (isAboutField ? /^"([\w.]{1,60})"/.exec(message)?.[1] : undefined) ?? null;
}
