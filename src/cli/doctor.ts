/** `text2img doctor`: checks this machine and suggests fixes. */
import { resolve } from 'node:path';
import { parseHubId } from '../checkpoint/hub/hub-id.ts';
import { DEFAULT_PRODUCTION_MODEL } from '../config/hub.ts';
import { type Mode, resolveMode } from '../config/mode.ts';
import { environmentNameOf, flagOf, type OptionName } from '../config/options.ts';
import { nameInUse } from '../config/parse.ts';
import { probeMachine, type DoctorFinding } from '../engine/doctor-probes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { excerpt } from '../lib/foreign-text.ts';
import type { ModelSelection, PromptQueue } from '../queue/prompt-queue.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { CommandContext, ExitCode } from './command-context.ts';
import { inspectCApi } from './doctor-c-api.ts';
import { adviceFor, type DoctorTopic } from './doctor-advice.ts';
import { inspectModel, inspectStore, inspectWebhook } from './doctor-checks.ts';
import { inspectGpus } from './doctor-gpu.ts';
import { memoryFinding } from './doctor-memory.ts';
import { freeMemoryBytes } from '../lib/free-memory.ts';
import { inspectOpenvino } from './doctor-openvino.ts';
import { jsonLine } from './json-output.ts';
import { engineEnvironment } from '../app/engine-environment.ts';
import { vaePlace } from '../app/find-vae.ts';
import { openQueue } from '../app/open-queue.ts';
import { queueSettings } from '../app/settings.ts';

const MARKS = { ok: '✓', missing: '–', not_checked: '–', problem: '✗' } as const;

/** Of one finding; a path and some notes fit. */
const DETAIL_LENGTH = 2000;

/** Exits with 5 if it finds a problem. */
export async function doctor(context: CommandContext): Promise<ExitCode> {
  const { terminal, config, environment } = context;
  const gpus = await inspectGpus(engineEnvironment(environment), config.device.join() !== 'cpu');
  const findings: readonly DoctorFinding[] = [
    { name: 'node', status: 'ok', detail: `${process.versions.node} (${process.execPath})` } as const,
    ...(await probeMachine(engineEnvironment(environment), gpus)),
    await inspectCApi(engineEnvironment(environment)),
    await inspectOpenvino(context, engineEnvironment(environment), modeOf(context)),
    ...(await probePlaces(context)),
    await inspectWebhook(context),
  ];
  if (config.json) terminal.result(jsonLine({ findings }));
  else for (const lines of [...findings.map(format), summary(findings)]) terminal.resultForPeople(lines);
  return findings.some(({ status }) => status === 'problem') ? 5 : 0;
}

/** undefined: the settings contradict each other, which another check says. */
function modeOf({ config, environment }: CommandContext): Mode | undefined {
  try {
    return resolveMode(config, environment);
  } catch {
    return undefined;
  }
}

/** Checks the settings and the places that they name. Reports a cause once: checks that need the failed part are left out. */
async function probePlaces(context: CommandContext): Promise<readonly DoctorFinding[]> {
  const { config, environment } = context;
  let mode: Mode;
  try {
    mode = resolveMode(config, environment);
  } catch (error) {
    const finding = missingHalf(context) ?? problem('settings', error, undefined);
    return [finding, ...(['model', 'queue', 'prompts', 'store'] as const).map(notChecked)];
  }
  const place = mode.kind === 'production' ? 'MongoDB and a bucket' : `embedded, in ${resolve(mode.dataDir)}`;
  const model = await probeModel(context, mode);
  const queue = await probe('queue', mode, () => inspectQueue(context, mode));
  const isFull = mode.kind === 'embedded' && queue.detail.endsWith('[disk_full]');
  return [
    { name: 'settings', status: 'ok', detail: place },
    ...model,
    queue,
    queue.status === 'ok' ? await inspectPrompts(context, mode) : notChecked('prompts'),
    isFull ? notChecked('store') : await probe('store', mode, () => inspectStore({ ...context, mode })),
  ];
}

/** MongoDB without a bucket, or the other way round, in the names that the user gave. */
function missingHalf({ config }: CommandContext): DoctorFinding | undefined {
  const given = (['mongoUri', 'gcsBucket'] as const).filter((name) => config[name] !== undefined);
  const [only] = given;
  if (only === undefined || given.length > 1) return undefined;
  const missing: OptionName = only === 'mongoUri' ? 'gcsBucket' : 'mongoUri';
  const inUse = nameInUse(config, only);
  const name = inUse.startsWith('--') ? flagOf(missing) : environmentNameOf(missing);
  const detail = inUse.startsWith('--') ? `${name} is not given` : `${name} is not set`;
  return { name: 'settings', status: 'problem', detail, advice: `add it, or remove ${inUse}` };
}

async function inspectQueue({ config, logger }: CommandContext, mode: Mode): Promise<string> {
  await using queue = await openQueue(queueSettings(config, mode), { logger, looksOnly: true });
  const { pending, processing, completed, error } = await queue.counts();
  return `${queue.description}: ${pending} pending, ${processing} processing, ${completed} completed, ${error} in error`;
}

/** Finds jobs that no worker can claim, and jobs that no worker sees. */
async function inspectPrompts({ config, logger }: CommandContext, mode: Mode): Promise<DoctorFinding> {
  let isUnseen = false;
  const finding = await probe('prompts', mode, async () => {
    await using queue = await openQueue(queueSettings(config, mode), { logger, looksOnly: true });
    const stuck = await queue.stuck(await servedNow(queue));
    if (stuck.length > 0) throw new Text2ImgError('invalid_document', `no worker can claim: ${stuck.join('; ')}.`);
    const unseen = await queue.nearMisses();
    isUnseen = unseen.length > 0;
    if (isUnseen) throw new Text2ImgError('invalid_document', `no worker sees: ${unseen.join('; ')}.`);
    return 'every pending prompt can be claimed';
  });
  return isUnseen ? { ...finding, advice: 'set their status to "pending", in lower case and without spaces' } : finding;
}

/** The models of the living workers; undefined where none lives, since a new worker may have any model. */
async function servedNow({ sideData }: PromptQueue): Promise<ModelSelection | undefined> {
  const living = await sideData.workers.living();
  if (living.length === 0) return undefined;
  return {
    named: [...new Set(living.flatMap(({ models }) => models))],
    takesUnnamed: living.some(({ takesUnnamed }) => takesUnnamed),
  };
}

async function probe(topic: DoctorTopic, { kind }: Mode, look: () => Promise<string>): Promise<DoctorFinding> {
  try {
    return { name: topic, status: 'ok', detail: await look() };
  } catch (error) {
    return problem(topic, error, kind);
  }
}

/** With `--vae` a fault is the model's only where it is there without that autoencoder too. */
async function probeModel(context: CommandContext, mode: Mode): Promise<readonly DoctorFinding[]> {
  try {
    const { detail, ...needs } = await inspectModel(context, mode);
    return [{ name: 'model', status: 'ok', detail }, memoryFinding(needs, freeMemoryBytes())];
  } catch (error) {
    return [await modelProblem(error, context, mode)];
  }
}

/** @param error of the model with its `--vae` */
async function modelProblem(error: unknown, context: CommandContext, mode: Mode): Promise<DoctorFinding> {
  if (context.config.vae === undefined) return withModelId(problem('model', error, mode.kind), context, mode);
  const config = { ...context.config, vae: undefined };
  const alone = await probe('model', mode, async () => (await inspectModel({ ...context, config }, mode)).detail);
  if (alone.status !== 'ok') return withModelId(alone, context, mode);
  const finding = { ...problem('vae', error, mode.kind), name: 'model' };
  // Doctor reads nothing that is only on the hub, so the finding says nothing about those files.
  const isHere = await vaePlace({
    ...omitUndefined({ vae: context.config.vae }),
    environment: context.environment,
  }).then(
    (place) => place === undefined || 'folder' in place,
    () => true,
  );
  if (isHere || Text2ImgError.from(error).code !== 'model_not_found') return finding;
  return {
    ...finding,
    detail: `${finding.detail} Doctor downloads nothing, so it did not check the autoencoder. The model without --vae is in order: ${alone.detail}`,
  };
}

/** The advice of a model of the hub names it, so that the line can be typed as it stands. */
function withModelId(finding: DoctorFinding, { config }: CommandContext, { kind }: Mode): DoctorFinding {
  const id = config.model ?? (kind === 'production' ? DEFAULT_PRODUCTION_MODEL : '');
  if (finding.advice === undefined || parseHubId(id) === undefined) return finding;
  return { ...finding, advice: finding.advice.replace('text2img models pull', `text2img models pull ${id}`) };
}

function problem(topic: DoctorTopic, error: unknown, kind: Mode['kind'] | undefined): DoctorFinding {
  const { message, code } = Text2ImgError.from(error);
  const advice = adviceFor(topic, code, kind);
  return { name: topic, status: 'problem', detail: `${message} [${code}]`, ...omitUndefined({ advice }) };
}

function notChecked(topic: DoctorTopic): DoctorFinding {
  return { name: topic, status: 'not_checked', detail: 'not checked' };
}

/** The last lines: how many problems the list above has, and their names. */
function summary(findings: readonly DoctorFinding[]): readonly string[] {
  const problems = findings.filter(({ status }) => status === 'problem').map(({ name }) => name);
  const [count, names] = [problems.length, problems.join(', ')];
  return ['', count === 0 ? 'no problems' : `${count} ${count === 1 ? 'problem' : 'problems'}: ${names}`];
}

function format({ name, status, detail, advice }: DoctorFinding): readonly string[] {
  const line = `${MARKS[status]} ${name.padEnd(16)} ${excerpt(detail, DETAIL_LENGTH)}`;
  return advice === undefined || status === 'ok' ? [line] : [line, `  ${' '.repeat(16)} → ${advice}`];
}
