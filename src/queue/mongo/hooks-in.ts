/** The webhooks that lie in a document, as far as they have our form. */
import { isRecord, own } from '../../lib/foreign-record.ts';
import { type HookRecord, hookOf } from '../job-record.ts';
import type { StoredDocument } from './statements.ts';

export function hooksIn({ job }: StoredDocument): readonly HookRecord[] {
  const hooks = isRecord(job) ? own(job, 'hooks') : undefined;
  return Array.isArray(hooks) ? hooks.map(hookOf).filter((hook) => hook !== undefined) : [];
}
