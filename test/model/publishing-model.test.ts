/**
 * No order of crashes, frozen workers, lost leases, resets, deletions and names that two documents share publishes a run twice, changes a published image
 * or gives a document another one's: looked at in every state within these bounds. Without any one of the guards the model finds a fault, so it would
 * notice.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explore } from './explore.ts';
import type { Bounds, Mutant } from './publishing-model.ts';

const ONE: Bounds = { documents: 1, workers: 3, runs: 3, claims: 5, reinsertions: 1, deletions: 0 };
const TWO: Bounds = { documents: 2, workers: 2, runs: 3, claims: 4, reinsertions: 0, deletions: 1 };
/** Somebody inserts a document with another one's name in it, and then one without. */
const FORGED: Bounds = { documents: 2, workers: 1, runs: 3, claims: 4, reinsertions: 1, deletions: 0 };

for (const [what, bounds] of [
  ['one document and three workers', ONE],
  ['two documents of one plain name', TWO],
  ['a document that was inserted with another one’s name', FORGED],
] as const) {
  test(`publishing holds in every state: ${what}`, () => {
    const { fault, completed } = explore(bounds);
    assert.equal(fault, undefined, JSON.stringify(fault));
    assert.ok(completed > 100, `${completed} states with a completed document`);
  });
}

for (const [mutant, bounds] of [
  ['upload-without-precondition', ONE],
  ['overwrite-any-generation', ONE],
  ['complete-without-token', ONE],
  ['overwrite-without-renewal', ONE],
  ['overwrite-a-namesake', TWO],
  ['name-not-recorded', TWO],
  ['name-recorded-late', TWO],
  ['name-believed', FORGED],
] as const satisfies readonly (readonly [Mutant, Bounds])[]) {
  test(`the model finds a fault in "${mutant}"`, () => {
    assert.notEqual(explore(bounds, { mutant }).fault, undefined);
  });
}
