/** Claim webhooks: those that are due are leased to one taker, the longest due first. */
import { attemptsOf } from '../job-record.ts';
import type { DueWebhook } from '../webhook-outbox.ts';
import { NOW_MS, type Row, type Statements } from './statements.ts';

const CLAIM_DUE = `
UPDATE webhooks SET due_ms = ${NOW_MS} + ?1, token = lower(hex(randomblob(16)))
WHERE seq IN (SELECT seq FROM webhooks WHERE state = 'pending' AND due_ms <= ${NOW_MS} ORDER BY due_ms, seq LIMIT ?2)
RETURNING *, (SELECT ${NOW_MS} - finished_ms FROM prompts WHERE prompts.id = webhooks.prompt_id) AS ended_ms_ago`;

export function claimWebhooks(
  statements: Statements,
  { limit, leaseMs }: { readonly limit: number; readonly leaseMs: number },
): readonly DueWebhook[] {
  return statements.all(CLAIM_DUE, Math.round(leaseMs), limit).map(toDue);
}

function toDue(row: Row): DueWebhook {
  return {
    id: String(row['id']),
    promptId: String(row['prompt_id']),
    body: String(row['body']),
    attempts: attemptsOf(row['attempts']),
    token: String(row['token']),
    ...(typeof row['url'] === 'string' ? { url: row['url'] } : {}),
    ...(typeof row['ended_ms_ago'] === 'number' ? { endedMsAgo: row['ended_ms_ago'] } : {}),
  };
}
