/** Writes README.md's list of schedulers from the registry: `npx node scripts/write-scheduler-list.ts`. */
import { readFile, writeFile } from 'node:fs/promises';
import { SHORT_SCHEDULER_NAMES } from '../src/schedulers/scheduler-names.ts';

const page = new URL('../README.md', import.meta.url);
const text = await readFile(page, 'utf8');
await writeFile(page, text.replace(/(Schedulers: `)[^`]*/, `$1${SHORT_SCHEDULER_NAMES.join(' ')}`));
