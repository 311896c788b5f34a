/** A checkpoint that is one file, from the command line: on the disk and on the hub; shown, checked, and generated with. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { readGenerationParameters } from '../../src/image/read-parameters.ts';
import { editTensors } from '../checkpoint/checkpoint-copies.ts';
import { madeFile } from '../checkpoint/single-file/make-file.ts';
import { HubServer } from '../servers/hub-server.ts';
import { runCli, temporaryFolder } from './run-cli.ts';

const atExit = { after: (clean: () => void) => void process.once('exit', clean) };
const file = madeFile(atExit, 'sd-1');
const bytes = readFileSync(file);
const sha256 = createHash('sha256').update(bytes).digest('hex');
const SMALL = ['--prompt', 'a red square', '--steps', '1', '--size', '64x64', '--seed', '1'];

const hub = await HubServer.start();
after(() => hub[Symbol.asyncDispose]());
hub.repositories.set('owner/merge', {
  files: new Map([
    ['merge-v2.safetensors', bytes],
    ['other.safetensors', Buffer.alloc(2_000_000)],
    ['vae/diffusion_pytorch_model.safetensors', Buffer.alloc(10)],
    ['merge-v2.ckpt', Buffer.alloc(10)],
  ]),
});

/** Without the autoencoder. */
function withoutVae(): string {
  const path = join(temporaryFolder(), 'without-vae.safetensors');
  copyFileSync(file, path);
  editTensors(path, (tensors) => {
    for (const name of tensors.keys()) if (name.startsWith('first_stage_model.')) tensors.delete(name);
  });
  return path;
}

test('generate takes a file; its name and hash stand in the image', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'My Merge.SafeTensors');
  copyFileSync(file, path);
  const output = join(folder, 'x.png');
  const log = join(folder, 'log');
  const made = await runCli({
    args: ['generate', '--model', path, ...SMALL, '--output', output],
    environment: { TEXT2IMG_LOG_FILE: log, TEXT2IMG_LOG_LEVEL: 'debug' },
  });
  assert.equal(made.code, 0, made.stderr);
  const { modelName, modelHash } = readGenerationParameters(readFileSync(output));
  assert.deepEqual([modelName, modelHash], ['My Merge', sha256.slice(0, 10)]);
});

test('run takes a file through the compile cache, and the second start is the same', async () => {
  const folder = temporaryFolder();
  const environment = {
    TEXT2IMG_DATA_DIR: join(folder, 'data'),
    TEXT2IMG_COMPILE_CACHE: join(folder, 'cache'),
    MODEL_ID: file,
  };
  const images: Buffer[] = [];
  for (let start = 0; start < 2; start++) {
    const asked = await runCli({ args: ['enqueue', ...SMALL], environment });
    assert.equal(asked.code, 0, asked.stderr);
    const done = await runCli({ args: ['run'], environment });
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, /loading the model {2}file=\S+sd-1\.safetensors/);
  }
  const generated = join(folder, 'data', 'generated');
  for (const name of readdirSync(generated, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.png')) images.push(readFileSync(join(generated, name)));
  assert.equal(images.length, 2);
  assert.deepEqual(readGenerationParameters(images[0] as Buffer).modelName, basename(file).replace('.safetensors', ''));
});

test('tensors that nobody needs are counted in the log at debug', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'm.safetensors');
  copyFileSync(file, path);
  editTensors(path, (tensors) => {
    const [any] = tensors.values();
    if (any !== undefined)
      for (const name of ['model_ema.decay', 'alphas_cumprod', 'lora_te.x', 'betas']) tensors.set(name, any);
  });
  const log = join(folder, 'log');
  const made = await runCli({
    args: ['generate', '--model', path, ...SMALL, '--output', join(folder, 'x.png'), '--log-level', 'debug'],
    environment: { LOG_FILE: log, TEXT2IMG_LOG_FILE: log },
  });
  assert.equal(made.code, 0, made.stderr);
  const told = `${made.stderr}${existsSync(log) ? readFileSync(log, 'utf8') : ''}`;
  assert.match(
    told,
    /has 4 tensors that are not needed: .{1,8}model_ema\.decay.{1,8}alphas_cumprod.{1,8}lora_te\.x.{1,8}, and 1 more/,
  );
});

test('models show says what a file is', async () => {
  const shown = await runCli({ args: ['models', 'show', file] });
  assert.equal(shown.code, 0, shown.stderr);
  for (const row of [
    /^recognised as +Stable Diffusion 1\.x$/m,
    /^pipeline +StableDiffusionPipeline$/m,
    /^prediction +epsilon$/m,
    /^scheduler settings +num_train_timesteps 1000, .*beta_schedule scaled_linear, .*steps_offset 1/m,
    /^default size +256x256$/m,
    /^ {2}unet +UNet2DConditionModel, [\d.]+ M parameters, F16$/m,
  ])
    assert.match(shown.stdout, row);
  assert.doesNotMatch(shown.stdout, /missing/);
  const json = JSON.parse(
    (await runCli({ args: ['models', 'show', file, '--json', '--prediction-type', 'v_prediction'] })).stdout,
  ) as Record<string, unknown>;
  assert.deepEqual(
    [json['file'], json['prediction'], json['missing'], json['size_bytes']],
    [file, 'v_prediction', [], bytes.length],
  );
});

test('models show says what the scheduler of a file does with its two empty tensors', async (t) => {
  const path = madeFile(t, 'xl-v-prediction');
  const shown = await runCli({ args: ['models', 'show', path] });
  assert.match(shown.stdout, /^prediction +v_prediction$/m, shown.stderr);
  assert.match(shown.stdout, /^scheduler settings .*timestep_spacing leading, .*rescale_betas_zero_snr true$/m);
  const json = JSON.parse((await runCli({ args: ['models', 'show', path, '--json'] })).stdout) as {
    scheduler_config: object;
  };
  assert.deepEqual(json.scheduler_config, {
    beta_end: 0.012,
    beta_schedule: 'scaled_linear',
    beta_start: 0.00085,
    num_train_timesteps: 1000,
    prediction_type: 'v_prediction',
    rescale_betas_zero_snr: true,
    steps_offset: 1,
    timestep_spacing: 'leading',
    trained_betas: null,
  });
});

test('a missing path: models show, generate and doctor say the same, and end with 4 where they need it', async () => {
  const missing = join(temporaryFolder(), 'nope.safetensors');
  const environment = { TEXT2IMG_DATA_DIR: temporaryFolder() };
  const says = `he model ${JSON.stringify(missing)} does not exist. Name `;
  for (const args of [
    ['models', 'show', missing],
    ['generate', '--model', missing, ...SMALL],
  ]) {
    const refused = await runCli({ args, environment });
    assert.equal(refused.code, 4, refused.stderr);
    assert.ok(refused.stderr.includes(says) && refused.stderr.endsWith('[model_not_found]\n'), refused.stderr);
  }
  const checked = await runCli({ args: ['doctor', '--model', missing], environment });
  assert.ok(checked.stdout.includes(says), checked.stdout);
  const hubLike = await runCli({ args: ['models', 'show', 'sub/x/nope.safetensors'], environment });
  assert.match(hubLike.stderr, /downloads it\. There is no file "sub\/x\/nope\.safetensors" on this machine either\./);
});

test('a device and a pipe: models show and generate say the same, and wait for nobody', async () => {
  const folder = temporaryFolder();
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  for (const model of ['/dev/zero', 'pipe']) {
    const shown = await runCli({ args: ['models', 'show', model], cwd: folder });
    const made = await runCli({ args: ['generate', '--model', model, ...SMALL], cwd: folder });
    assert.deepEqual([shown.code, made.code], [4, 4]);
    const [sentence] =
      /text2img: The model ".*(?:zero|pipe)" is a pipe, a socket or a device.*/.exec(shown.stderr) ?? [];
    assert.ok(sentence !== undefined && made.stderr.includes(sentence), shown.stderr + made.stderr);
  }
});

test('a file without an autoencoder: shown with what is missing, refused for generating with the option that helps', async () => {
  const path = withoutVae();
  const shown = await runCli({ args: ['models', 'show', path] });
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /^missing +vae$/m);
  const refused = await runCli({ args: ['generate', '--model', path, ...SMALL] });
  assert.equal(refused.code, 4, refused.stderr);
  assert.match(refused.stderr, /Stable Diffusion 1\.x without an autoencoder \(vae\); name one with --vae/);
});

test('doctor checks a file, and names the autoencoder beside it', async () => {
  const environment = { TEXT2IMG_DATA_DIR: temporaryFolder() };
  const checked = await runCli({ args: ['doctor', '--model', file], environment });
  assert.match(checked.stdout, /✓ model +\S+sd-1\.safetensors: StableDiffusionPipeline, PNDMScheduler/);
  const given = await runCli({ args: ['doctor', '--model', withoutVae(), '--vae', file], environment });
  assert.match(given.stdout, /✓ model .*StableDiffusionPipeline, PNDMScheduler, the autoencoder "sd-1"/);
  const broken = await runCli({ args: ['doctor', '--model', withoutVae()], environment });
  assert.match(broken.stdout, /✗ model .*without an autoencoder/);
});

test('one file of a repository is downloaded alone, listed, shown, and generated with offline', async () => {
  const folder = temporaryFolder();
  const environment = { HF_ENDPOINT: hub.url, HF_HOME: join(folder, 'hf') };
  const name = 'owner/merge/merge-v2.safetensors';
  hub.requests.length = 0;
  const pulled = await runCli({ args: ['models', 'pull', name], environment });
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.match(pulled.stdout, /snapshots.*merge-v2\.safetensors\n$/);
  const fetched = new Set(hub.requests.filter(({ path }) => path.includes('/resolve/')).map(({ path }) => path));
  assert.deepEqual(
    [...fetched].map((path) => basename(path)),
    ['merge-v2.safetensors'],
  );
  assert.match(
    (await runCli({ args: ['models', 'list'], environment })).stdout,
    /^owner\/merge\/merge-v2\.safetensors +aaaaaaaaaa main +\d+ MB +ready\n$/,
  );
  const shown = await runCli({ args: ['models', 'show', name], environment });
  assert.match(shown.stdout, /^id +owner\/merge\/merge-v2\.safetensors\nrevision +a+1 main\n/, shown.stderr);
  const output = join(folder, 'x.png');
  const address = `${hub.url}/owner/merge/blob/main/merge-v2.safetensors?download=true`;
  const made = await runCli({
    args: ['generate', '--model', address, '--offline', ...SMALL, '--output', output],
    environment,
  });
  assert.equal(made.code, 0, made.stderr);
  const { modelName, modelHash } = readGenerationParameters(readFileSync(output));
  assert.deepEqual([modelName, modelHash], [name, sha256.slice(0, 10)]);
});

test('a repository without model_index.json: the sentence lists its files and says what to type', async () => {
  const environment = { HF_ENDPOINT: hub.url, HF_HOME: temporaryFolder() };
  const refused = await runCli({ args: ['generate', '--model', 'owner/merge', ...SMALL], environment });
  assert.equal(refused.code, 4, refused.stderr);
  assert.match(
    refused.stderr,
    /has no model_index\.json.*It has "merge-v2\.safetensors" \(0\.0\d GB\), "other\.safetensors" \(0\.00 GB\)\. Name one, as in --model owner\/merge\/merge-v2\.safetensors\./,
  );
});

test('what is no file of the hub is refused by name', async () => {
  const environment = { HF_ENDPOINT: hub.url, HF_HOME: temporaryFolder() };
  for (const [model, code, sentence] of [
    ['owner/merge/nothing.safetensors', 4, /has no file "nothing\.safetensors"\. It has "merge-v2.*There is no file/],
    ['owner/merge/merge-v2.ckpt', 4, /is no safetensors file\. A pickle can run code.*\[unsafe_weights\]/],
    ['https://civitai.com/api/download/models/1', 2, /another host than the hub's.*\[invalid_option\]/],
    [`${hub.url}/datasets/owner/x`, 2, /is no address of a model.*\[invalid_option\]/],
    ['models/not-there.safetensors', 4, /does not exist.*\[model_not_found\]/],
  ] as const) {
    const refused = await runCli({ args: ['generate', '--model', model, ...SMALL], environment });
    assert.equal(refused.code, code, refused.stderr);
    assert.match(refused.stderr, sentence);
  }
});

test('a folder of files is no checkpoint; a file of one is', async () => {
  const folder = join(temporaryFolder(), 'loras');
  mkdirSync(folder);
  copyFileSync(file, join(folder, 'a.sft'));
  const refused = await runCli({ args: ['generate', '--model', folder, ...SMALL] });
  assert.equal(refused.code, 4, refused.stderr);
  const output = join(folder, 'x.png');
  const made = await runCli({ args: ['generate', '--model', join(folder, 'a.sft'), ...SMALL, '--output', output] });
  assert.equal(made.code, 0, made.stderr);
  assert.equal(readGenerationParameters(readFileSync(output)).modelName, 'a');
});

test('a prediction that the scheduler of the model does not have is refused by name', async () => {
  const refused = await runCli({ args: ['generate', '--model', file, '--prediction-type', 'sample', ...SMALL] });
  assert.equal(refused.code, 4, refused.stderr);
  assert.match(refused.stderr, /"prediction_type" is "sample".*\[unsupported_config\]/);
});
