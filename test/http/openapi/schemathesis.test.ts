/** schemathesis makes requests of the OpenAPI document, good and bad ones, and compares each answer with what the document says. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test, type TestContext } from 'node:test';
import { UrlSigner } from '../../../src/http/images/sign-url.ts';
import { serve, type ServeOptions } from '../served.ts';

const python = process.env['TEXT2IMG_TEST_PYTHON'] ?? 'python3';
const hasSchemathesis = spawnSync(python, ['-c', 'import schemathesis']).status === 0;
const skip = hasSchemathesis
  ? false
  : `NOT RUN: the Python at ${python} has no schemathesis; set TEXT2IMG_TEST_PYTHON. Answers were not compared with /openapi.json.`;

const CONFIG = fileURLToPath(new URL('schemathesis.toml', import.meta.url));
const PROGRAM = 'from schemathesis.cli import schemathesis; schemathesis()';
/** Of each route. */
const EXAMPLES = 20;

interface Outcome {
  readonly isOk: boolean;
  readonly output: string;
}

interface Check {
  readonly options?: ServeOptions;
  readonly key?: string;
  /** Of schemathesis. */
  readonly args: readonly string[];
  /** Of the routes that refuse everything. Default: they are among all. */
  readonly refused?: 'only' | 'left out';
}

async function check(t: TestContext, { options = {}, key, args: more, refused }: Check): Promise<Outcome> {
  const served = await serve(t, { server: { signer: new UrlSigner({ secrets: ['a secret'] }) }, ...options });
  const secret = key === undefined ? [] : ['--header', `Authorization: Bearer ${served.secretOf(key)}`];
  const flag = refused === 'only' ? '--include-operation-id' : '--exclude-operation-id';
  const ids = refused === undefined ? [] : await refusedOperations(served.url);
  assert.ok(refused === undefined || ids.length > 10, ids.join(', '));
  const chosen = ids.flatMap((id) => [flag, id]);
  const args = ['--config-file', CONFIG, 'run', `${served.url}/openapi.json`, ...secret, ...chosen, ...more];
  const run = promisify(execFile)(
    python,
    ['-c', PROGRAM, ...args, '--max-examples', String(EXAMPLES), '--seed', '1', '--no-color', '--continue-on-failure'],
    // It keeps what it found in a folder beside.
    { cwd: served.folder, maxBuffer: 64 * 1024 * 1024 },
  );
  try {
    return { isOk: true, output: (await run).stdout };
  } catch (error) {
    return { isOk: false, output: (error as { readonly stdout?: string }).stdout ?? String(error) };
  }
}

/** The jobs API is as strict as its document. */
const STRICT = ['--include-tag', 'Jobs', '--include-tag', 'Server', '--exclude-path', '/metrics'];
const ANSWERS = 'status_code_conformance,content_type_conformance,response_schema_conformance';
/** The others read what their clients send, which is more than a document can say; so only their answers are compared. */
const LENIENT = [
  '--exclude-tag',
  'Jobs',
  '--exclude-tag',
  'Server',
  // They wait for their images.
  '--request-timeout',
  '120',
];

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, unknown>>;
}

/** Of the routes that refuse everything. */
async function refusedOperations(url: string): Promise<readonly string[]> {
  const answer = await fetch(`${url}/openapi.json`);
  const { paths } = (await answer.json()) as { readonly paths: Readonly<Record<string, Record<string, Operation>>> };
  return Object.values(paths)
    .flatMap((path) => Object.values(path))
    .filter(({ responses }) => !Object.keys(responses).some((status) => Number(status) < 400))
    .map(({ operationId }) => operationId);
}

async function passes(t: TestContext, run: Check): Promise<void> {
  const { isOk, output } = await check(t, run);
  assert.ok(isOk, output);
  assert.match(output, /Tested: \d/);
}

test('every answer of the jobs API is one that its document describes', { skip }, (t) => passes(t, { args: STRICT }));

test('with keys too, and no route forgets to ask for one', { skip }, (t) =>
  passes(t, { options: { keys: ['ann'] }, key: 'ann', args: STRICT }),
);

test('every answer of the other APIs is one that the document describes', { skip }, (t) =>
  passes(t, {
    options: { limits: { maxImages: 2, maxPixels: 64 * 64 } },
    args: [...LENIENT, '--checks', `not_a_server_error,${ANSWERS}`],
    refused: 'left out',
  }),
);

test('what refuses everything says so as the document describes', { skip }, (t) =>
  passes(t, { args: ['--checks', ANSWERS], refused: 'only' }),
);
