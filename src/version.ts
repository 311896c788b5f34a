/**
 * The package's own version, read from `package.json`, which lies one folder above both `src/` and the compiled `dist/`.
 */
import { readFileSync } from 'node:fs';

export const VERSION = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
