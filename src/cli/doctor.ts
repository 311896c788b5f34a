/** `text2img doctor`: what was found on this machine, and what to do about what was not. */
import { probeMachine, type DoctorFinding } from '../engine/doctor-probes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { boundedSentences, excerpt } from '../lib/foreign-text.ts';
import { type CommandContext, type ExitCode } from './command-context.ts';
import { engineEnvironment } from './engine-environment.ts';
import { findModelFolder } from './model-folder.ts';
import { openQueue, openStore } from './open-queue.ts';

const MARKS = { ok: '✓', missing: '–', problem: '✗' } as const;

/** Of one finding; a path and some notes fit. */
const DETAIL_LENGTH = 2000;

/** Exits with 5 when something stands in the way of drawing. */
export async function doctor(context: CommandContext): Promise<ExitCode> {
  const { terminal, config } = context;
  const findings = [
    { name: 'node', status: 'ok', detail: `${process.versions.node} (${process.execPath})` } as const,
    ...(await probeMachine(engineEnvironment())),
    await probe('model', 'fetch it with "text2img models pull", or name another one with --model', async () =>
      inspectModel(context),
    ),
    await probe('queue', 'choose another --data-dir', async () => {
      await using queue = openQueue(context);
      const { pending, processing, completed, error } = await queue.counts();
      return `${queue.description}: ${pending} pending, ${processing} processing, ${completed} completed, ${error} in error`;
    }),
    await probe('prompts', 'make them smaller, or let the validator pass them', async () => {
      await using queue = openQueue(context);
      const stuck = await queue.stuck();
      if (stuck.length > 0) throw new Text2ImgError('invalid_document', `no worker can claim: ${stuck.join('; ')}.`);
      return 'every pending prompt can be claimed';
    }),
    await probe('store', 'choose another --data-dir, or free some space', async () => {
      await using opened = openStore(context);
      const { store } = opened;
      await store.check();
      return `${store.description} can be written`;
    }),
  ];
  if (config.json) terminal.result(JSON.stringify({ findings }));
  else for (const finding of findings) terminal.result(format(finding));
  return findings.some(({ status }) => status === 'problem') ? 5 : 0;
}

/** Reads everything but the weights themselves. */
async function inspectModel(context: CommandContext): Promise<string> {
  const { variant } = context.config;
  // Looking must not fetch gigabytes.
  const { folder } = await findModelFolder({ ...context, config: { ...context.config, offline: true } });
  const { openCheckpoint } = await import('../checkpoint/open-checkpoint.ts');
  const { proveFit } = await import('../models/prove-fit.ts');
  const checkpoint = await openCheckpoint(folder, variant === undefined ? {} : { variant });
  proveFit(checkpoint);
  const notes = checkpoint.warnings.length === 0 ? '' : `; ${boundedSentences(checkpoint.warnings).join(' ')}`;
  return `${folder}: ${checkpoint.index.pipelineClass}, ${checkpoint.scheduler.className}${notes}`;
}

async function probe(name: string, advice: string, look: () => Promise<string>): Promise<DoctorFinding> {
  try {
    return { name, status: 'ok', detail: await look() };
  } catch (error) {
    const { message, code } = Text2ImgError.from(error);
    return { name, status: 'problem', detail: `${message} [${code}]`, advice };
  }
}

function format({ name, status, detail, advice }: DoctorFinding): readonly string[] {
  const line = `${MARKS[status]} ${name.padEnd(16)} ${excerpt(detail, DETAIL_LENGTH)}`;
  return advice === undefined || status === 'ok' ? [line] : [line, `  ${' '.repeat(16)} → ${advice}`];
}
