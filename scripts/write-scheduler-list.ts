/** Writes the lists of schedulers, in README.md and docs/checkpoints.md, from the registry: `npx node scripts/write-scheduler-list.ts`. */
import { readFile, writeFile } from 'node:fs/promises';
import { SHORT_SCHEDULER_NAMES } from '../src/schedulers/scheduler-names.ts';
import { checkpointPage } from './checkpoint-page.ts';

const page = new URL('../README.md', import.meta.url);
const text = await readFile(page, 'utf8');
await writeFile(page, text.replace(/(Schedulers: `)[^`]*/, `$1${SHORT_SCHEDULER_NAMES.join(' ')}`));
await writeFile(new URL('../docs/checkpoints.md', import.meta.url), checkpointPage());
