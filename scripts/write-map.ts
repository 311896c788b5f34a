/** Writes the part of ARCHITECTURE.md's map that shows `src/`: `npx node scripts/write-map.ts`. */
import { readFile, writeFile } from 'node:fs/promises';
import { sourceMap } from './source-map.ts';

const page = new URL('../ARCHITECTURE.md', import.meta.url);
const text = await readFile(page, 'utf8');
await writeFile(page, text.replace(/(```\n)src\/\n(?: .*\n)*/, `$1${(await sourceMap()).replaceAll('$', '$$$$')}`));
