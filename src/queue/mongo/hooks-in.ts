/** The webhooks that lie in a document, as far as they have our form. */
import type { Document } from 'mongodb';
import { type HookRecord, hookOf } from '../job-record.ts';

export function hooksIn(document: Document): readonly HookRecord[] {
  const hooks: unknown = document['job']?.hooks;
  return Array.isArray(hooks) ? hooks.map(hookOf).filter((hook) => hook !== undefined) : [];
}
