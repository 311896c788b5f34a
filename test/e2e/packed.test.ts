/** A new user with the packed tarball, installed for all folders: every command of the list of frictions, of README and of the help's examples, typed as it stands. */
import { test } from 'node:test';
import { testAllTopics } from './frictions/all-topics.ts';
import { emptyFolderWithPackage, NoPlaceError, type Place } from './frictions/places.ts';

let place: Place | undefined;
try {
  place = emptyFolderWithPackage();
} catch (error) {
  if (!(error instanceof NoPlaceError)) throw error;
  test('the packed tarball', {
    skip: `NOT RUN: every command of README and help with the tarball, because ${error.message}`,
  });
}
if (place !== undefined) await testAllTopics(place);
