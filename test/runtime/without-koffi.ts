/** A machine without the optional package koffi. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const HOOK = `import { registerHooks } from 'node:module';
registerHooks({ resolve(name, context, next) {
  if (name === 'koffi') throw new Error("Cannot find package 'koffi'");
  return next(name, context);
} });
`;

/** @param folder for the hook @returns variables of processes that find no koffi */
export async function withoutKoffi(folder: string): Promise<{ readonly NODE_OPTIONS: string }> {
  const hook = join(folder, 'no-koffi.mjs');
  await writeFile(hook, HOOK);
  return { NODE_OPTIONS: `--import=${pathToFileURL(hook).href}` };
}
