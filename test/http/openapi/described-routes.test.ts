/** The routes that a door registers and those that it describes are the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOORS } from '../../../src/http/doors.ts';
import type { Door } from '../../../src/http/server/door.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { serve } from '../served.ts';

/** Other names of a route that is described, and pages for people. */
const OTHER_NAMES = /^(?:\/|\/images\/(?:generations|edits|variations)|\/models(?:\/\{model\})?)$/;

/** As the document writes it: a parameter in braces. */
function describedPath(url: string): string {
  return url.replace(/\*$/, '{model}').replaceAll(/:(\w+)/g, '{$1}');
}

/** The door, and what it registers. */
function recording(door: Door): { readonly door: Door; readonly routes: Set<string> } {
  const routes = new Set<string>();
  const recorded: Door = {
    ...door,
    register(app, front, tools) {
      app.addHook('onRoute', ({ url, method }) => {
        const path = describedPath(url);
        for (const one of [method].flat()) if (one !== 'HEAD' && !OTHER_NAMES.test(path)) routes.add(`${one} ${path}`);
      });
      door.register(app, front, tools);
    },
  };
  return { door: recorded, routes };
}

test('a door describes exactly the routes that it has', async (t) => {
  const doors = DOORS.filter((door) => door.describe !== undefined).map(recording);
  assert.ok(doors.length >= 4, 'MCP describes itself, the others are described');
  await serve(t, { worker: false, doors: doors.map(({ door }) => door) });
  for (const { door, routes } of doors) {
    const described = door.describe?.(DEFAULT_LIMITS).routes ?? [];
    assert.deepEqual(
      [...routes].toSorted(),
      described.map(({ method, path }) => `${method.toUpperCase()} ${path}`).toSorted(),
      door.name,
    );
  }
});
