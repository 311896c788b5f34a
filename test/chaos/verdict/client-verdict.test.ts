import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BSON, type Document, ObjectId } from 'mongodb';
import {
  type Attempt,
  type ClientKind,
  type ClientRequest,
  clientText,
  type Outcome,
} from '../clients/client-record.ts';
import { type ClientEvidence, judgeClients } from './client-verdict.ts';
import { sha256Of } from '../clients/send.ts';
import { textOf } from '../invariants.ts';

const BYTES = Buffer.from('an image');

function keyOf({ _id }: Document): string {
  return BSON.EJSON.stringify(_id, { relaxed: false });
}

function aDocument(): Document {
  const job = { tenant: 'anna', model: 'instant', parameters: { model: 'instant' } };
  return { _id: new ObjectId(), text: clientText(0, 0), status: 'completed', job };
}

function imagesOf(document: Document): Outcome {
  return { kind: 'images', images: [{ id: String(document['_id']), index: 0, sha256: sha256Of(BYTES) }] };
}

function attempts(...changes: readonly Partial<Attempt>[]): Attempt[] {
  return changes.map((change, index) => ({
    requestId: `client-0-${index}`,
    server: undefined,
    retryCount: index,
    startedMs: 0,
    ...change,
  }));
}

interface Case {
  readonly kind?: ClientKind;
  readonly documents: readonly Document[];
  readonly attempts: Attempt[];
  readonly outcome?: Outcome | undefined;
  /** Of each document. */
  readonly doors?: readonly (readonly string[])[];
  readonly completions?: number;
  readonly evidence?: Partial<ClientEvidence>;
}

function judged({ kind = 'patient', documents, doors = [], completions = 1, evidence, ...rest }: Case): string {
  const texts = [clientText(0, 0)];
  const request = {
    number: 0,
    kind,
    key: 'anna',
    model: 'instant',
    modelName: 'instant',
    texts,
    ...rest,
  } as ClientRequest;
  const done = documents.flatMap((document) => Array(completions).fill({ key: keyOf(document), runId: 'r' }));
  const byKey = documents.map((document, index) => [keyOf(document), doors[index] ?? ['client-0-0']] as const);
  const { violations } = judgeClients({
    requests: [request],
    documents,
    history: { completions: done, doors: new Map(byKey), endedMs: new Map() },
    objectOf: () => BYTES,
    renames: [],
    carriedOver: new Set(),
    ...evidence,
  });
  return violations.map(textOf).join('\n');
}

const one = aDocument();
const other = aDocument();
const answered = { status: 200, ids: [String(one['_id'])] };
const good = { documents: [one], attempts: attempts(answered), outcome: imagesOf(one) };

test('requests that ended as they must are no violation', () => {
  assert.equal(judged(good), '');
  assert.equal(judged({ ...good, kind: 'withKey' }), '');
  const takenOver = { attempts: attempts({}, answered), doors: [['client-0-0', 'client-0-1']] };
  assert.equal(judged({ ...good, ...takenOver }), '');
  const anew = { documents: [one, other], doors: [['client-0-1'], ['client-0-0']], attempts: attempts({}, answered) };
  assert.equal(judged({ ...good, ...anew }), '');
});

const WRONG: readonly (readonly [RegExp, Case])[] = [
  [/never ended/, { documents: [], attempts: attempts({}) }],
  [/ended with 400/, { ...good, outcome: { kind: 'error', status: 400, code: 'invalid_prompt' } }],
  [/answered with 503 and the code undefined/, { ...good, attempts: attempts({ status: 503 }, answered) }],
  [/the code internal/, { ...good, attempts: attempts({ status: 500, code: 'internal' }, answered) }],
  [/2 documents under one Idempotency-Key/, { ...good, kind: 'withKey', documents: [one, other] }],
  [/is not there/, { ...good, kind: 'withKey', documents: [] }],
  [/the documents are/, { ...good, kind: 'jobs', attempts: attempts({ status: 202, ids: ['elsewhere'] }, answered) }],
  [/made or took over 2 documents/, { ...good, documents: [one, other] }],
  [
    /a first attempt, took/,
    { ...good, attempts: attempts({}, { ...answered, retryCount: 0 }), doors: [['client-0-0', 'client-0-1']] },
  ],
  [/which is no attempt/, { ...good, doors: [['client-9-0']] }],
  [
    /a part of an upload/,
    { kind: 'brokenUpload', documents: [one], attempts: attempts({}), outcome: { kind: 'left' } },
  ],
  [/a wrong key became/, { ...good, kind: 'stranger' }],
  [/answered with 200 and not with 404/, { ...good, attempts: attempts({ ...answered, mustBe: 404 }) }],
  [
    /with 400 invalid_prompt and made/,
    { ...good, attempts: attempts({ status: 400, code: 'invalid_prompt' }, { ...answered, retryCount: 0 }) },
  ],
  [/is the key's ben/, { ...good, documents: [{ ...one, job: { ...one['job'], tenant: 'ben' } }] }],
  [/is for other/, { ...good, documents: [{ ...one, job: { ...one['job'], model: 'other' } }] }],
  [/was made with other/, { ...good, documents: [{ ...one, job: { ...one['job'], parameters: { model: 'other' } } }] }],
  [/without a last event/, { ...good, attempts: attempts({ ...answered, stream: { last: 'nothing', partials: [] } }) }],
  [
    /partial images 0,2/,
    { ...good, attempts: attempts({ ...answered, stream: { last: 'completed', partials: [0, 2] } }) },
  ],
  [/completed 2 times/, { ...good, completions: 2 }],
  [/other bytes/, { ...good, evidence: { objectOf: () => Buffer.from('another') } }],
  [/without an image/, { ...good, outcome: { kind: 'images', images: [] } }],
  [/no client asked/, { ...good, evidence: { documents: [one, { ...other, text: clientText(7, 0) }] } }],
];

for (const [sentence, wrong] of WRONG)
  test(`the clients' verdict finds what is wrong: ${sentence.source}`, () => assert.match(judged(wrong), sentence));

test('a job seems deleted while the collection has another name, and only then', () => {
  const seen = { ...good, outcome: { kind: 'error', status: 410, code: 'deleted' } } as const;
  assert.match(judged(seen), /ended with 410/);
  assert.equal(judged({ ...seen, evidence: { renames: [{ fromMs: -1, toMs: 1 }] } }), '');
});
