/** Whose object lies under a name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeOwner, hashOfDocKey, whoseObject } from '../../src/storage/doc-key.ts';

const key = (database: string, collection: string, id: string): string =>
  `${JSON.stringify({ database, collection }).slice(0, -1)},"_id":${id}}`;
const OWN = key('db', 'prompts', '{"$numberLong":"7"}');

test('an object is this document’s, a namesake’s, or a stranger’s', () => {
  for (const [stored, whose] of [
    [OWN, 'same'],
    [JSON.stringify(JSON.parse(OWN), undefined, 1), 'same'],
    [hashOfDocKey(OWN), 'same'],
    [hashOfDocKey(key('db', 'prompts', '"7"')), 'foreign'],
    [key('db', 'prompts', '"7"'), 'namesake'],
    [key('db', 'prompts', '{"$oid":"65f0c0ffee65f0c0ffee0001"}'), 'namesake'],
    [key('db', 'others', '{"$numberLong":"7"}'), 'foreign'],
    [key('other', 'prompts', '{"$numberLong":"7"}'), 'foreign'],
    [key('/data/queue.sqlite', 'prompts', '{"$numberLong":"7"}'), 'foreign'],
    ['{"_id":7}', 'foreign'],
    ['null', 'foreign'],
    ['[]', 'foreign'],
    ['no JSON', 'foreign'],
    ['', 'foreign'],
  ] as const)
    assert.equal(whoseObject(stored, OWN), whose, stored);
});

test('the path of an embedded queue is not compared, its documents are', () => {
  const here = key('/data/queue.sqlite', 'prompts', '"a"');
  assert.equal(whoseObject(key('C:\\text2img\\queue.sqlite', 'prompts', '"a"'), here), 'same');
  assert.equal(whoseObject(key('/old/queue.sqlite', 'prompts', '"b"'), here), 'namesake');
  assert.equal(whoseObject(key('data', 'prompts', '"a"'), here), 'foreign');
});

test('an owner is told with every part of it, or is not known', () => {
  assert.equal(describeOwner(OWN), 'the document {"$numberLong":"7"} of the collection "prompts" in the database "db"');
  for (const stored of [undefined, 'sha256:00', '5']) assert.equal(describeOwner(stored), undefined);
});
