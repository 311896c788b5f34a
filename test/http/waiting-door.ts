/** A door for the tests of the server itself: it waits for one job, as the doors of OpenAI and A1111 do. */
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { isRecord, own } from '../../src/lib/foreign-record.ts';
import type { Caller } from '../../src/http/front/caller.ts';
import { errorOf } from '../../src/http/front/ended-job.ts';
import type { Front } from '../../src/http/front/front.ts';
import type { Door } from '../../src/http/server/door.ts';
import { answerTo } from '../../src/http/server/status-of.ts';

async function generate(front: Front, caller: Caller, body: unknown): Promise<object> {
  if (!isRecord(body)) throw new Text2ImgError('invalid_body', 'The body is no JSON object.');
  const { model, ...document } = body;
  const { id } = front.models.resolve(typeof model === 'string' ? model : undefined);
  const { ids, isRepeat } = await front.create(caller, [{ document, model: id }], { body, isWatched: true });
  const [job] = await front.wait(caller, ids);
  if (job === undefined) throw new Text2ImgError('internal', 'there is no job.');
  if (job.status === 'error') throw errorOf(job);
  return { id: job.id, isRepeat, seed: job.seed, urls: job.imageUrls };
}

export const WAITING_DOOR: Door = {
  name: 'openai',
  prefixes: ['/test/'],
  bodies: 'any',
  register(app, front, tools) {
    app.post('/test/generate', (request) => generate(front, tools.caller(request), request.body));
    app.get('/test/jobs/:id', async (request) => {
      const id = own(request.params as Record<string, string>, 'id') ?? '';
      return await front.show(tools.caller(request), id);
    });
    app.delete('/test/jobs/:id', async (request) => {
      const id = own(request.params as Record<string, string>, 'id') ?? '';
      return { cancelled: await front.cancel(tools.caller(request), id) };
    });
  },
  errorBody({ error, status, requestId }) {
    return {
      contentType: 'application/json',
      body: { code: error.code, message: error.message, status, requestId, ...answerTo(error).headers },
    };
  },
};
