/** A new user in a fresh clone: every command of the list of frictions, of README and of the help's examples, typed as it stands. */
import { test } from 'node:test';
import { testAllTopics } from './frictions/all-topics.ts';
import { freshClone, NoPlaceError, type Place } from './frictions/places.ts';

let place: Place | undefined;
try {
  place = freshClone();
} catch (error) {
  if (!(error instanceof NoPlaceError)) throw error;
  test('a fresh clone', {
    skip: `NOT RUN: every command of README and help in a fresh clone, because ${error.message}`,
  });
}
if (place !== undefined) await testAllTopics(place);
