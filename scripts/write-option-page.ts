/** Writes docs/options.md from the tables of options: `npx node scripts/write-option-page.ts`. */
import { writeFile } from 'node:fs/promises';
import { optionPage } from './option-page.ts';

await writeFile(new URL('../docs/options.md', import.meta.url), optionPage());
