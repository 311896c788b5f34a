import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deck } from './deck.ts';
import { Random } from './random.ts';

function neverCame(deck: Deck<string>): readonly string[] {
  return deck.meetings().flatMap(({ what, times }) => (times === 0 ? what : []));
}

test('each kind comes once before any comes twice, then as often as its weight, and never in the same order', () => {
  const orders = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    const deck = new Deck({ a: 3, b: 1, c: 2, d: 1 }, new Random(seed));
    assert.deepEqual(neverCame(deck), ['a', 'b', 'c', 'd']);
    const first = Array.from({ length: 4 }, () => deck.draw());
    assert.deepEqual(first.toSorted(), ['a', 'b', 'c', 'd']);
    assert.deepEqual(neverCame(deck), []);
    for (let card = 0; card < 7; card++) deck.draw();
    assert.deepEqual(Object.fromEntries(deck.counts), { a: 4, b: 2, c: 3, d: 2 });
    orders.add(first.join());
  }
  assert.ok(orders.size > 5);
});

test('a kind that never came is named', () => {
  const deck = new Deck({ a: 1, b: 1 }, new Random(1));
  const came = deck.draw();
  assert.deepEqual(neverCame(deck), [came === 'a' ? 'b' : 'a']);
});
