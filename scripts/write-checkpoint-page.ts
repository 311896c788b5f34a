/** Writes docs/checkpoints.md from the tables of the code: `npx node scripts/write-checkpoint-page.ts`. */
import { writeFile } from 'node:fs/promises';
import { checkpointPage } from './checkpoint-page.ts';

await writeFile(new URL('../docs/checkpoints.md', import.meta.url), checkpointPage());
