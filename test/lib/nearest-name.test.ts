/** The name that was perhaps meant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from '../../src/lib/nearest-name.ts';

test('a few wrong or swapped letters lead to the name, another word to none', () => {
  const names = ['run', 'generate', 'jobs', 'webhooks'];
  assert.equal(nearestName('generat', names), 'generate');
  assert.equal(nearestName('Job', names), 'jobs');
  assert.equal(nearestName('webhoks', names), 'webhooks');
  assert.equal(nearestName('rnu', names), 'run');
  assert.equal(nearestName('modle', ['models']), 'models');
  assert.equal(nearestName('picture', names), undefined);
  assert.equal(nearestName('', names), undefined);
  assert.equal(nearestName('x'.repeat(1_000_000), names), undefined);
});
