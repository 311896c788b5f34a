/** The output of `text2img run`: each job as it ends, and the summary. */
import { countText } from '../lib/count-text.ts';
import { printable } from '../lib/foreign-text.ts';
import { jsonLine } from './json-output.ts';
import { madeText, shortPlace } from './made-text.ts';
import type { DeliverySummary } from '../webhook/deliverer.ts';
import type { WorkerEvent, WorkerSummary } from '../worker/worker-contract.ts';
import { MOST_OTHERS } from '../queue/transitions.ts';
import type { CommandContext } from './command-context.ts';

export function show({ config, terminal }: CommandContext, event: WorkerEvent): void {
  switch (event.type) {
    case 'claimed':
      return;
    case 'progress':
      return terminal.progress(event.id, { label: event.id, step: event.step, steps: event.steps });
    case 'completed':
    case 'failed':
    case 'retried':
    case 'released':
    case 'lost':
      terminal.endProgress(event.id);
      if (config.json) return terminal.result(jsonLine(event));
      if (event.type === 'completed') for (const url of event.imageUrls) terminal.result(printable(url));
  }
}

/** Counts what became of the jobs, also where the worker ends with an error. */
export class Tally {
  readonly summary = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0 };

  images = 0;

  add(event: WorkerEvent): void {
    if (event.type !== 'claimed' && event.type !== 'progress') this.summary[event.type]++;
    if (event.type === 'completed') this.images += event.imageUrls.length;
  }
}

export interface Ending {
  readonly summary: WorkerSummary;
  readonly images: number;
  /** As `placeOf` names it. */
  readonly place: string;
  readonly elapsedMs: number;
  readonly delivered: DeliverySummary;
  /** No job was pending at the start. */
  readonly wasEmpty: boolean;
  /** Pending at the start, for other models. */
  readonly others: number;
  /** Webhooks that the outbox still holds; undefined where it could not be asked. */
  readonly owed: { readonly pending: number; readonly dead: number } | undefined;
}

export function summarize({ config, terminal }: CommandContext, ending: Ending): void {
  const { summary, images, place, elapsedMs, delivered, owed } = ending;
  const pending = owed?.pending ?? null;
  const dead = owed?.dead ?? null;
  if (config.json) {
    const durationMs = Math.round(elapsedMs);
    // `owed` and `given_up` are the names of version 0.1.0 for the same numbers.
    const webhooks = { delivered: delivered.delivered, pending, dead, owed: pending, givenUp: dead };
    return terminal.result(jsonLine({ type: 'summary', ...summary, images, place, durationMs, webhooks }));
  }
  const { completed, failed, retried, released, lost } = summary;
  const others = [
    ...(images === completed ? [] : [counted(completed, 'job completed', 'jobs completed')]),
    counted(failed, 'job failed', 'jobs failed'),
    counted(retried, 'job will be retried', 'jobs will be retried'),
    counted(released, 'job released', 'jobs released'),
    counted(lost, 'job taken over or cancelled', 'jobs taken over or cancelled'),
    counted(delivered.delivered, 'webhook delivered', 'webhooks delivered'),
    counted(pending ?? 0, 'webhook pending', 'webhooks pending'),
    counted(dead ?? 0, 'webhook dead', 'webhooks dead'),
  ].filter((text) => text !== '');
  const made = madeText({ images, place: shortPlace(place, process.cwd()), elapsedMs });
  terminal.line([made, ...(ending.wasEmpty ? [emptyText(ending.others)] : []), ...others].join(', '));
  if (!ending.wasEmpty) return;
  if (ending.others === 0) terminal.line('Add one: text2img enqueue --prompt "a red circle"');
  else terminal.line('Name their models with --models; "text2img jobs show ID" says which one a job is for.');
}

function emptyText(others: number): string {
  if (others === 0) return 'no job was pending';
  const most = others < MOST_OTHERS ? '' : 'at least ';
  return `no job was pending for this model, ${most}${countText(others, 'job is', 'jobs are')} for others`;
}

function counted(count: number, one: string, several: string): string {
  return count === 0 ? '' : countText(count, one, several);
}
