/** Reads commands out of texts: none that README and the help have is missed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { printedHelp } from '../../../scripts/reading-matter.ts';
import { EXAMPLES } from '../../../src/cli/help-texts.ts';
import { commandsOfPage, examplesOfHelp, plainCommand } from './commands-of.ts';

const PAGE = `
Type \`text2img doctor\` or \`npx text2img doctor\`, not \`x.png\` or \`--watch\`.

\`\`\`sh
npm ci && npm run demo   # at first
docker run \\
  -e A=b text2img
\`\`\`

\`\`\`json
{"text": "text2img run"}
\`\`\`

| \`text2img jobs list\`, \`show ID\` | \`retry --status error\` retries many, \`--now\` all. |
| \`text2img webhooks redrive [ID]\` | |
| \`text2img enqueue --prompt "…"\`, \`enqueue FILE\` | |
`;

test('a page’s commands are the lines of its blocks for a shell, its spans, and the words of its rows', () => {
  assert.deepEqual(commandsOfPage(PAGE), [
    'npm ci && npm run demo',
    'docker run -e A=b text2img',
    'text2img doctor',
    'npx text2img doctor',
    'text2img jobs list',
    'text2img jobs show ID',
    'text2img jobs retry --status error',
    'text2img webhooks redrive',
    'text2img webhooks redrive ID',
    'text2img enqueue --prompt "…"',
    'text2img enqueue FILE',
  ]);
  assert.equal(plainCommand('npx --no-install text2img run'), 'text2img run');
});

test('every line of README that begins with a program is among its commands', () => {
  const readme = readFileSync(join(fileURLToPath(new URL('../../..', import.meta.url)), 'README.md'), 'utf8');
  const found = commandsOfPage(readme).join('\n');
  const lines = readme.match(/^(?:npm|npx|docker|text2img) .*$/gm) ?? [];
  assert.ok(lines.length > 10, lines.join('\n'));
  for (const line of lines) assert.ok(found.includes(line.replace(/ *\\$| +#.*$/, '')), line);
});

test('every example of the help is read out of what it prints', () => {
  const read = new Set(printedHelp().flatMap(({ text }) => examplesOfHelp(text)));
  const all = Object.values(EXAMPLES).flatMap((examples) => examples.map(([line]) => line));
  assert.deepEqual([...read].toSorted(), all.toSorted());
});
