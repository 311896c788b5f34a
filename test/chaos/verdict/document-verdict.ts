/** What must hold for all documents when everything is healed and drained. */
import { BSON, type Document, type MongoClient } from 'mongodb';
import { decode } from 'fast-png';
import type { DocumentId } from '../../../src/job/document-id.ts';
import { documentIdOf } from '../../../src/queue/mongo/bson-ids.ts';
import { docKeyOf } from '../../../src/queue/transitions.ts';
import { objectKey } from '../../../src/storage/object-key.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../../src/storage/object-prefix.ts';
import { WebhookPolicy } from '../../../src/webhook/webhook-policy.ts';
import { instantPixels } from '../../engine/instant-pixels.ts';
import type { GcsServer } from '../../servers/gcs-server.ts';
import { type Violation, violation } from '../invariants.ts';
import type { Completion } from './history.ts';
import { FORGED } from '../producer.ts';
import { COLLECTION, MODEL_STEPS } from '../settings.ts';
import { aRequest } from '../../job/a-request.ts';

export interface Evidence {
  readonly client: MongoClient;
  readonly database: string;
  readonly gcs: GcsServer;
  /** Bodies by webhook id, one for each try that reached the receiver. */
  readonly webhooks: ReadonlyMap<string, readonly string[]>;
  /** What was inserted, by the canonical EJSON of its `_id`. */
  readonly inserted: ReadonlyMap<string, Document>;
  /** Documents that somebody outside deleted, inserted again or mangled. */
  readonly disturbed: ReadonlySet<string>;
  /** Of them, those into which somebody wrote what only a worker writes. */
  readonly forged: ReadonlySet<string>;
  readonly completions: readonly Completion[];
  /** Documents that were there twice while the collection had another name: the log tells the runs of both under one `_id`. */
  readonly carriedOver: ReadonlySet<string>;
  /** Documents of clients that left, which the server cancels. */
  readonly mayBeCancelled: ReadonlySet<string>;
}

export interface Findings {
  readonly documents: number;
  readonly completed: number;
  readonly failed: number;
  readonly completions: number;
  readonly generations: number;
  readonly webhookTries: number;
  readonly violations: readonly Violation[];
}

export async function judge(evidence: Evidence): Promise<Findings> {
  const { client, database, gcs, webhooks, completions } = evidence;
  const documents = await client.db(database).collection(COLLECTION).find({}, { promoteLongs: false }).toArray();
  const violations: Violation[] = [];
  for (const document of documents) violations.push(...checkDocument(document, evidence));
  const present = new Set(documents.map(({ _id }) => keyOf(_id)));
  for (const key of evidence.inserted.keys())
    if (!present.has(key) && !evidence.disturbed.has(key))
      violations.push(violation('nothingIsLost', `${key} is lost`));
  violations.push(...(await checkCompletions(evidence)));
  violations.push(...checkObjects(gcs));
  violations.push(...checkWebhooks(webhooks));
  const count = (status: string): number => documents.filter((document) => document['status'] === status).length;
  return {
    documents: documents.length,
    completed: count('completed'),
    failed: count('error'),
    completions: completions.length,
    generations: Array.from(gcs.history.values()).reduce((sum, generations) => sum + generations.length, 0),
    webhookTries: Array.from(webhooks.values()).reduce((sum, bodies) => sum + bodies.length, 0),
    violations,
  };
}

function keyOf(id: unknown): string {
  return BSON.EJSON.stringify(id, { relaxed: false });
}

function checkDocument(document: Document, { inserted, disturbed, mayBeCancelled, gcs }: Evidence): Violation[] {
  const key = keyOf(document['_id']);
  const { status, job, mine } = document;
  if (status !== 'completed' && status !== 'error')
    return [violation('documentsEnd', `${key} ends as ${JSON.stringify(status)}`)];
  const found: Violation[] = [];
  if (job?.lease_until !== undefined || job?.owner !== undefined)
    found.push(violation('documentsEnd', `${key} still has a lease`));
  const original = inserted.get(key)?.['mine'];
  if (
    original !== undefined &&
    !Buffer.from(BSON.serialize({ mine })).equals(Buffer.from(BSON.serialize({ mine: original })))
  )
    found.push(violation('nothingIsLost', `${key} has changed a field that is not ours`));
  if (status === 'error') {
    const isCancelled = String(document['error']).startsWith('cancelled: ') && mayBeCancelled.has(key);
    if (!disturbed.has(key) && !isCancelled)
      found.push(violation('troubleFailsNoJob', `${key} failed: ${document['error']}`));
    return found;
  }
  const id = documentIdOf(document['_id']);
  const images = Number(job?.parameters?.num_images);
  for (let imageIndex = 0; imageIndex < images; imageIndex++)
    found.push(...checkPicture(document, { id, imageIndex, gcs }));
  return found;
}

/** The object that the document names is of its own run, the last one there, and shows what was asked for. */
function checkPicture(
  document: Document,
  { id, imageIndex, gcs }: { readonly id: DocumentId; readonly imageIndex: number; readonly gcs: GcsServer },
): Violation[] {
  const name = objectKey(id, { prefix: DEFAULT_OBJECT_PREFIX, imageIndex });
  const object = gcs.object(name);
  const wrong = (found: string): Violation[] => [violation('imagesAreRight', `${name} ${found}`)];
  if (object === undefined) return wrong('is not there');
  if (object.metadata['run_id'] !== document['job'].run_id)
    return wrong(`is of run ${object.metadata['run_id']}, the document of ${document['job'].run_id}`);
  const { parameters } = document['job'];
  const request = aRequest({
    prompt: String(document['text']),
    negativePrompt: parameters.negative_prompt,
    // Read with its width.
    seed: Number(parameters.seed),
    numInferenceSteps: MODEL_STEPS,
    guidanceScale: parameters.guidance_scale,
    widthPx: parameters.width,
    heightPx: parameters.height,
    numImages: parameters.num_images,
    scheduler: parameters.scheduler,
  });
  const isRight = Buffer.from(decode(object.bytes).data.buffer).equals(Buffer.from(instantPixels(request, imageIndex)));
  return isRight ? [] : wrong('shows something else');
}

/** No run is completed twice, and each has told its webhook at least once, unless somebody outside took the document away. */
async function checkCompletions({
  client,
  database,
  webhooks,
  disturbed,
  forged,
  carriedOver,
  completions,
}: Evidence): Promise<Violation[]> {
  const found: Violation[] = [];
  const runs = new Set<string>();
  const policy = new WebhookPolicy({
    hasOperatorUrl: true,
    events: new Set(['completed'] as const),
    guard: { allowedHosts: new Set() },
    publicUrl: async (url) => url,
  });
  for (const { key, runId } of completions) {
    const run = `${key} ${runId}`;
    // A completed document that somebody sets back to processing, token and all, is completed by whoever takes it over.
    if (runs.has(run) && !forged.has(key) && !carriedOver.has(key))
      found.push(violation('runsCompleteOnce', `the run ${run} was completed twice`));
    runs.add(run);
    if (disturbed.has(key)) continue;
    const id: unknown = BSON.EJSON.parse(key, { relaxed: false });
    const docKey = docKeyOf({ database, collection: COLLECTION }, documentIdOf(id));
    const owed = await policy.forCompletion({ promptId: '', docKey, runId, prompt: '', callbackUrl: undefined }, ['']);
    if (webhooks.has(owed?.id ?? '')) continue;
    const document = await client
      .db(database)
      .collection(COLLECTION)
      .findOne({ _id: id as never });
    const job = JSON.stringify(document?.['job']).slice(0, 1500);
    found.push(violation('webhooksAreTold', `nobody was told of the run ${run} (${owed?.id}): ${job}`));
  }
  return found;
}

/** No run has published an object twice, and no run comes back after another one. */
function checkObjects({ history }: GcsServer): Violation[] {
  const found: Violation[] = [];
  for (const [name, generations] of history) {
    const runs = generations.map(({ metadata }) => metadata['run_id']);
    if (new Set(runs).size !== runs.length)
      found.push(violation('runsCompleteOnce', `${name} was published twice by one run: ${runs.join(', ')}`));
  }
  return found;
}

function checkWebhooks(webhooks: Evidence['webhooks']): Violation[] {
  const found: Violation[] = [];
  for (const [id, bodies] of webhooks) {
    if (`${id} ${bodies.join()}`.includes(FORGED))
      found.push(violation('webhooksAreTold', `the forged webhook ${id} was sent`));
    const different = new Set(bodies).size;
    if (different > 1)
      found.push(violation('webhooksAreTold', `the webhook ${id} was sent with ${different} different bodies`));
  }
  return found;
}
