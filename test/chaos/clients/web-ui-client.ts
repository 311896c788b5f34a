/** Clients of the web UI's route. They have no notion of a retry: what failed is simply sent again, as a first attempt. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Asking } from './asking.ts';
import type { ClientRequest, Outcome } from './client-record.ts';
import { type Got, pauseMs, send, type Sending, sha256Of } from './send.ts';

const PATH = '/sdapi/v1/txt2img';
const MAX_TRIES = 60;

export async function askWebUi(asking: Asking): Promise<Outcome> {
  for (let tries = 1; ; tries++) {
    const got = await send(asking, sendingOf(asking)).catch(() => undefined);
    if (got !== undefined && got.status < 400) return imagesOf(got);
    const isFinal = got !== undefined && got.headers.get('x-should-retry') !== 'true';
    if (got !== undefined && (isFinal || tries >= MAX_TRIES))
      return { kind: 'error', status: got.status, code: got.attempt.code };
    await sleep(pauseMs(asking, got));
  }
}

/** It breaks the connection off, and never comes back. */
export async function leaveWebUi(asking: Asking): Promise<Outcome> {
  const signal = AbortSignal.timeout(Math.round(asking.random.between(50, 2500)));
  await send(asking, { ...sendingOf(asking), signal }).then(imagesOf, () => undefined);
  return { kind: 'left' };
}

function sendingOf({ request, secret }: Asking): Sending {
  return {
    path: PATH,
    // As `--api-auth` has it: any user.
    headers: { authorization: `Basic ${Buffer.from(`user:${secret}`).toString('base64')}` },
    body: JSON.stringify(bodyOf(request)),
    retryCount: 0,
  };
}

function bodyOf({ texts, modelName }: ClientRequest): object {
  return {
    prompt: texts[0],
    // Each of them is a document.
    n_iter: texts.length,
    width: 256,
    height: 256,
    override_settings: { sd_model_checkpoint: modelName },
  };
}

function imagesOf({ status, headers, bytes, attempt }: Got): Outcome {
  if (status >= 400) return { kind: 'error', status, code: attempt.code };
  const ids = (headers.get('text2img-id') ?? '').split(', ');
  attempt.ids = ids;
  const { images } = JSON.parse(bytes.toString()) as { readonly images: readonly string[] };
  return {
    kind: 'images',
    images: images.map((text, index) => ({
      id: ids[index] ?? '',
      index: 0,
      sha256: sha256Of(Buffer.from(text, 'base64')),
    })),
  };
}
