/** The commands of the pages for operators: each is taken as it stands, and each link leads somewhere. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseArguments } from '../../src/cli/program.ts';
import { loadConfig } from '../../src/config/load.ts';

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url));
const PAGES = readdirSync(DOCS).filter((name) => name.endsWith('.md'));
/** As on the machine of somebody who switches. */
const OPERATOR = { MONGO_URI: 'mongodb://db.example/app', GCS_BUCKET: 'my-bucket' };

interface Typed {
  readonly line: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}

/** Lines of code blocks and code spans that run the program; `[0]` of a unit's ExecStart is a path. */
function commandsOf(page: string): readonly Typed[] {
  const code = [...page.matchAll(/```\w*\n([\s\S]*?)```|`([^`\n]+)`/g)].flatMap(([, block, span]) =>
    (block ?? span ?? '').split('\n'),
  );
  return code.flatMap((raw) => {
    const line = raw.trim().replace(/^ExecStart=/, '');
    const match = /^((?:[A-Z0-9_]+=\S+ +)*)(?:\S*\/)?text2img(?= |$)(.*)$/.exec(line);
    if (match === null) return [];
    const [, variables = '', rest = ''] = match;
    const pairs = variables.split(/ +/).filter((word) => word !== '');
    return [
      {
        line,
        environment: Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s) as [string, string])),
        args: [...rest.replace(/ 2>> \S+$| +#.*$/, '').matchAll(/"([^"]*)"|(\S+)/g)].map(
          ([, quoted, word]) => quoted ?? word ?? '',
        ),
      },
    ];
  });
}

let found = 0;

for (const name of PAGES) {
  const page = readFileSync(join(DOCS, name), 'utf8');

  test(`each command of docs/${name} is one that text2img takes`, async () => {
    const commands = commandsOf(page);
    found += commands.length;
    for (const { line, environment, args } of commands) {
      const invocation = await parseArguments(args).catch((error: unknown) => assert.fail(`${line}: ${String(error)}`));
      assert.ok(typeof invocation === 'object', line);
      const { command, flags } = invocation;
      await loadConfig({ command, flags, environment: { ...OPERATOR, ...environment } }).catch((error: unknown) =>
        assert.fail(`${line}: ${String(error)}`),
      );
    }
  });

  test(`each link of docs/${name} leads to a page, and to a heading of it`, () => {
    for (const [, path = '', anchor] of page.matchAll(/\]\(([^)#]*)(?:#([^)]+))?\)/g)) {
      if (/^https?:/.test(path)) continue;
      const target = path === '' ? join(DOCS, name) : join(dirname(join(DOCS, name)), path);
      assert.ok(existsSync(target), path);
      if (anchor === undefined) continue;
      const headings = readFileSync(target, 'utf8').match(/^#+ .*$/gm) ?? [];
      const anchors = headings.map((heading) =>
        heading
          .replace(/^#+ /, '')
          .toLowerCase()
          .replaceAll(/[^\w\- ]/g, '')
          .replaceAll(' ', '-'),
      );
      assert.ok(anchors.includes(anchor), `${path}#${anchor}`);
    }
  });
}

test('the pages have commands', () => assert.ok(found > 50, `${found} commands`));

test('the unit of docs/systemd.md stops as the worker does, and names its variables rightly', async () => {
  const page = readFileSync(join(DOCS, 'systemd.md'), 'utf8');
  const unit = /```ini\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const variables = [...unit.matchAll(/^Environment=([A-Z0-9_]+)=(.*)$/gm)].map(
    ([, variable = '', value = '']) => [variable, value] as const,
  );
  const environment = Object.fromEntries(
    variables.filter(([variable]) => !variable.endsWith('_FILE') || variable.startsWith('TEXT2IMG_')),
  );
  const { config } = await loadConfig({
    command: 'run',
    flags: { watch: true },
    environment: { ...OPERATOR, ...environment },
  });
  const stopS = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]);
  // The worker is over five seconds after its grace period.
  assert.ok(stopS >= config.gracePeriod + 5, `${stopS} s`);
  assert.equal(config.heartbeatFile, '/run/text2img/%i');
  assert.match(unit, /^KillMode=mixed$/m);
});
