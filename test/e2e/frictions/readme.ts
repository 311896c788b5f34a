/** What must come of each command of README. */
import type { CommandName } from '../../../src/config/options.ts';
import { COMMANDS } from '../../../src/config/options.ts';
import { PACKAGE } from '../run-cli.ts';
import { NO_MONGOD } from '../../servers/find-mongod.ts';
import { cudaFacts, openvinoFacts, SECRET, SERVES, withJob } from './help-examples.ts';
import type { Neighbours } from './neighbours.ts';
import type { Expectations, Expected } from './texts.ts';

const CI = 'minutes of work that is done already when these tests run';
const PLACES = 'test/e2e/frictions/places.ts';
const DOCKER = 'needs Docker, which downloads gigabytes';

export function readmeExpectations({ mongo, hook }: Neighbours): Expectations {
  const elsewhere = (line: string): string =>
    line.replace('mongodb://db.example/app', mongo?.uri('readme') ?? '').replace('https://example.com/hook', hook.url);
  const withPrompts = {
    before: (shell: { write: (name: string, text: string) => void }) =>
      shell.write('FILE', 'a fox\n{"text": "two cats", "seed": 7}\n'),
  };
  const withKeys: Expected = {
    before: (shell) => shell.type('text2img keys create NAME --api-keys KEYS', { prints: SECRET }),
    typed: (line) => `${line} --api-keys KEYS`,
  };
  return {
    'text2img serve': { typed: (line) => `${line} --port 0`, untilPrinted: SERVES },
    'text2img mcp': {
      notTyped: 'an agent starts it and speaks the protocol with it',
      typedBy: ['test/e2e/mcp.test.ts', 'an agent gets an image, with its file, and the log on standard error'],
    },
    'text2img keys create NAME --api-keys FILE': { prints: SECRET },
    'text2img keys create NAME': { ...withKeys, prints: SECRET },
    'text2img keys list': { ...withKeys, prints: /^NAME\n/m },
    'text2img keys revoke NAME': { ...withKeys, prints: /^\d keys? revoked\n$/ },
    'npm ci && npm run demo': { notTyped: CI, typedBy: ['test/e2e/demo.test.ts', "'demo'"] },
    'text2img generate "a red circle on a white background"': { prints: /^\.\/text2img-\d+\.png/ },
    'text2img generate "a red fox on a hill" --model stable-diffusion-v1-5/stable-diffusion-v1-5 --output fox.png': {
      prints: /^fox\.png/,
      makes: ['fox.png'],
    },
    'text2img --mongo-uri mongodb://db.example/app --gcs-bucket my-bucket --callback-url https://example.com/hook --watch':
      {
        typed: elsewhere,
        untilPrinted: /queue and store opened/,
        skip: mongo === undefined && NO_MONGOD,
      },
    'docker build -t text2img .': { notTyped: DOCKER, typedBy: ['.ci/run', 'scripts/build-image-without-docker.sh'] },
    'docker run --gpus all -v $PWD/credentials:/app/credentials -e GOOGLE_APPLICATION_CREDENTIALS=/app/credentials/gcp-key.json text2img --mongo-uri=mongodb://db.example/app --gcs-bucket=my-bucket':
      { notTyped: `the container with a GPU, a key and a bucket: ${DOCKER}` },
    'docker compose up --build': { notTyped: `the composed services: ${DOCKER}` },
    ...Object.fromEntries(
      ['npm ci', 'npm run typecheck', 'npm run lint', 'npm test', 'npm run chaos'].map((line) => [
        line,
        { notTyped: CI, typedBy: ['.ci/run', `part ${line}`] },
      ]),
    ),
    'npm run bench': { notTyped: 'the benchmark of the networks: it makes a weight file of 3.4 GB and takes minutes' },
    'npm run bench:queue': { notTyped: 'the benchmark of the queue: it takes minutes' },
    'npm run bench:gpu': { notTyped: 'the benchmark of a GPU: it needs one' },
    'npm run package': { notTyped: CI, typedBy: [PLACES, "['run', 'package'"] },
    'npm link': { notTyped: CI, typedBy: [PLACES, "'npm', ['link']"] },
    [`npm install --global --ignore-scripts ./${PACKAGE.name}-${PACKAGE.version}.tgz`]: {
      notTyped: CI,
      typedBy: [PLACES, "run('sh', ['-c', line]"],
    },
    'npm config set prefix ~/.local': {},
    // The last of README's commands.
    [`npm uninstall --global ${PACKAGE.name}`]: { typed: (line) => [line, '! command -v text2img'] },
    text2img: { says: /\d images? / },
    'text2img run': {
      before: (shell) => shell.type('text2img enqueue --prompt "a fox"'),
      prints: /^file:\/\//,
      says: /1 image in /,
    },
    'text2img enqueue --prompt "…"': { prints: /^[0-9a-f]{24}\n$/ },
    'text2img enqueue FILE': { ...withPrompts, prints: /^[0-9a-f]{24}\n[0-9a-f]{24}\n$/ },
    'text2img enqueue -': { typed: (line) => `echo "a fox" | ${line}`, prints: /^[0-9a-f]{24}\n$/ },
    'text2img generate "…"': { prints: /^\.\/text2img-\d+\.png/ },
    'text2img jobs list': { prints: /^ID +STATUS/, says: /4 pending/ },
    'text2img jobs show ID': { before: withJob('ID'), prints: /^id +ID\nstatus +pending\n/ },
    'text2img jobs cancel ID': {
      before: (shell) => shell.type('text2img jobs show ID', { prints: /pending/ }),
      prints: /ID/,
    },
    'text2img jobs retry ID': { before: (shell) => shell.type('text2img run'), prints: /ID/ },
    'text2img jobs retry --status error': { prints: /^\d jobs? retried\n$/ },
    'text2img webhooks list': { says: /^0 pending, 0 dead/ },
    'text2img webhooks deliver': { prints: /^0 webhooks delivered/ },
    'text2img webhooks redrive': { prints: /^0 / },
    'text2img webhooks redrive ID': { code: 2, says: /There is no dead webhook "ID".*\[not_found\]\n$/ },
    'text2img models pull ID': { typed: withModel, prints: /\/snapshots\/\w+\n$/ },
    'text2img models list': { prints: /^owner\/demo .*ready$/m },
    'text2img models show ID': { typed: withModel, prints: /^id +owner\/demo$/m },
    'text2img health': { code: 5, says: /no worker runs.*\[worker_unhealthy\]\n$/ },
    'text2img doctor': { prints: /\nno problems\n$/ },
    'text2img setup cuda': cudaFacts,
    'text2img setup openvino': openvinoFacts,
    'text2img <command> --help': {
      typed: (line) => COMMANDS.map((command: CommandName) => line.replace('<command>', command)),
      prints: [/^Usage: text2img /, /\nExamples:\n {2}\S/],
    },
  };
}

function withModel(line: string): string {
  return line.replace('ID', 'owner/demo');
}
