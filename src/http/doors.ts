/** The doors of the server: one line each. */
import type { Door } from './server/door.ts';

export const DOORS: readonly Door[] = [];
