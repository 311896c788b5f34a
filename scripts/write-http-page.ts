/** Writes docs/http-api.md from the route records of the doors: `npx node scripts/write-http-page.ts`. */
import { writeFile } from 'node:fs/promises';
import { httpPage } from './http-page.ts';

await writeFile(new URL('../docs/http-api.md', import.meta.url), httpPage());
