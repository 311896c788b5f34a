/** OpenAI's images route: the body of a request, and what is in its answer. */
import type { ClientRequest, Outcome, ReceivedImage } from './client-record.ts';
import { type Got, sha256Of } from './send.ts';

export const OPENAI_PATH = '/v1/images/generations';

export interface ImagesBody {
  readonly model: string;
  readonly prompt: string;
  readonly size: '256x256' | '1024x1024';
  readonly n: number;
  readonly response_format: 'b64_json';
}

export function imagesBody(
  { texts, modelName }: ClientRequest,
  { size = '256x256', n = 1 }: Partial<Pick<ImagesBody, 'size' | 'n'>> = {},
): ImagesBody {
  return { model: modelName, prompt: texts[0] ?? '', size, n, response_format: 'b64_json' };
}

interface Answer {
  readonly id: string;
  readonly data: readonly { readonly b64_json: string }[];
}

export function noteIds({ status, bytes, attempt }: Got): void {
  if (status < 400) attempt.ids = [(JSON.parse(bytes.toString()) as Answer).id];
}

export function imagesOutcome({ bytes }: Got): Outcome {
  const { id, data } = JSON.parse(bytes.toString()) as Answer;
  const images = data.map(({ b64_json: text }, index): ReceivedImage => {
    return { id, index, sha256: sha256Of(Buffer.from(text, 'base64')) };
  });
  return { kind: 'images', images };
}
