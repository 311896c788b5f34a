/** Writes the tables of speed in README.md from bench/results/: `npx node scripts/write-bench-table.ts`. */
import { readFile, writeFile } from 'node:fs/promises';
import { readResults, withBenchTables } from './bench-table.ts';

const page = new URL('../README.md', import.meta.url);
await writeFile(page, withBenchTables(await readFile(page, 'utf8'), readResults()));
