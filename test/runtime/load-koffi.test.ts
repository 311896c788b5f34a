/** Calls through koffi have a stack on which large libraries run. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { suite, test } from 'node:test';
import { promisify } from 'node:util';

/**
 * The C library's parser of regular expressions calls itself for each group within a group. 2,000 of them need more than 128 kB of stack, which is what
 * koffi gives a call on another thread by default.
 */
const PROGRAM = `
const koffi = await LOAD;
const library = koffi.load('libc.so.6');
const compile = library.func('int regcomp(void *preg, const char *pattern, int flags)');
const pattern = '\\\\('.repeat(2000) + 'a' + '\\\\)'.repeat(2000);
// It would be collected during the call.
globalThis.expression = Buffer.alloc(1024);
compile.async(expression, pattern, 0, (error, status) => console.log(error ?? status));
`;

const run = promisify(execFile);
const loader = new URL('../../src/runtime/load-koffi.ts', import.meta.url).href;
const withLoader = (load: string): Promise<{ stdout: string }> =>
  run(process.execPath, ['--input-type=module', '--eval', PROGRAM.replace('LOAD', load)]);

suite('the stack of a call on another thread', { skip: process.platform !== 'linux' && 'it calls glibc' }, () => {
  test('it holds what needs more than koffi has by default', async () => {
    const { stdout } = await withLoader(`(await import('${loader}')).loadKoffi()`);
    assert.equal(stdout.trim(), '0');
  });

  test('with koffi’s own settings the same call ends the process, so this test can fail', async () => {
    await assert.rejects(withLoader(`(await import('koffi')).default`), { signal: 'SIGSEGV' });
  });
});
