/** Reap: documents whose lease ran out on their last attempt end as errors, without being read. */
import type { Document } from 'mongodb';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { leaseEnded, numberAt } from './expressions.ts';
import { failPipeline } from './fail.ts';
import type { PromptsCollection } from './prompts-collection.ts';
import type { SkipList } from './skip-list.ts';

export async function reap(prompts: PromptsCollection, skip: SkipList): Promise<number> {
  const { collection, maxAttempts, hints } = prompts;
  const hasNone = { $gte: [numberAt('$job.attempts'), maxAttempts] };
  const filter = (): Document => ({ ...leaseEnded(hasNone), _id: { $nin: skip.ids } });
  const failure = {
    code: 'attempts_exhausted',
    message: `all ${maxAttempts} attempts ended without a verdict.`,
  } as const;
  const pipeline = [...failPipeline(failure), { $unset: ['job.token'] }] as never;
  for (;;) {
    try {
      const { modifiedCount } = await prompts.run(() =>
        collection.updateMany(filter() as never, pipeline, { ...hints.processing }),
      );
      return modifiedCount;
    } catch (error) {
      if (!(error instanceof Text2ImgError && error.code === 'invalid_document')) throw error;
      await skipUnchangeable({ prompts, skip, filter: filter(), pipeline });
    }
  }
}

interface Sweep {
  readonly prompts: PromptsCollection;
  readonly skip: SkipList;
  readonly filter: Document;
  readonly pipeline: never;
}

/** One that the server will not store stops the whole statement: they are written one by one, and it is passed over from now on. */
async function skipUnchangeable({ prompts, skip, filter, pipeline }: Sweep): Promise<void> {
  const found = await prompts.run(() => prompts.collection.find(filter as never, { projection: { _id: 1 } }).toArray());
  for (const { _id } of found) {
    try {
      await prompts.run(() => prompts.collection.updateOne({ ...filter, _id: { $eq: _id } }, pipeline));
    } catch (error) {
      skip.add(_id, (error as Error).message);
    }
  }
}
