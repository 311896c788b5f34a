/** Writes docs/requests.md from the table of request fields: `npx node scripts/write-request-page.ts`. */
import { writeFile } from 'node:fs/promises';
import { requestPage } from './request-page.ts';

await writeFile(new URL('../docs/requests.md', import.meta.url), requestPage());
