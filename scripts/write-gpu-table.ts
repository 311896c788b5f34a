/** Writes the results of GPUs in docs/devices.md from bench/results/: `npx node scripts/write-gpu-table.ts`. */
import { readFile, writeFile } from 'node:fs/promises';
import { readGpuResults, withGpuTables } from './gpu-table.ts';

const page = new URL('../docs/devices.md', import.meta.url);
await writeFile(page, withGpuTables(await readFile(page, 'utf8'), readGpuResults()));
