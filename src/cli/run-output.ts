/** What `text2img run` prints: each job as it ends, and the summary. */
import { printable } from '../lib/foreign-text.ts';
import type { DeliverySummary } from '../webhook/deliverer.ts';
import type { WorkerEvent, WorkerSummary } from '../worker/worker-contract.ts';
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
      if (config.json) return terminal.result(JSON.stringify(event));
      if (event.type === 'completed') for (const url of event.imageUrls) terminal.result(printable(url));
  }
}

/** Counts what became of the jobs, also where the worker ends with an error. */
export class Tally {
  readonly summary = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0 };

  add({ type }: WorkerEvent): void {
    if (type !== 'claimed' && type !== 'progress') this.summary[type]++;
  }
}

export interface Ending {
  readonly summary: WorkerSummary;
  readonly delivered: DeliverySummary;
  /** What the outbox still holds; undefined where it could not be asked. */
  readonly owed: { readonly pending: number; readonly dead: number } | undefined;
}

export function summarize({ config, terminal }: CommandContext, { summary, delivered, owed }: Ending): void {
  const webhooks = { delivered: delivered.delivered, owed: owed?.pending ?? null, givenUp: owed?.dead ?? null };
  if (config.json) return terminal.result(JSON.stringify({ type: 'summary', ...summary, webhooks }));
  const { completed, failed, retried, released, lost } = summary;
  const rare = [
    [retried, 'to retry'],
    [released, 'released'],
    [lost, 'taken over by other workers'],
    [webhooks.delivered, 'webhooks delivered'],
    [webhooks.owed ?? 0, 'webhooks pending'],
    [webhooks.givenUp ?? 0, 'webhooks failed'],
  ] as const;
  const others = rare.filter(([count]) => count > 0).map(([count, what]) => `, ${count} ${what}`);
  terminal.line(`${completed} completed, ${failed} failed${others.join('')}`);
}
