/** `oweWebhook` records a webhook inside the transaction that ends the job. A repetition adds no second one. */
import type { OwedWebhook } from '../webhook-outbox.ts';
import { NOW_MS, type Statements } from './statements.ts';

const OWE = `
INSERT INTO webhooks (id, prompt_id, body, url, due_ms) VALUES (?1, ?2, ?3, ?4, ${NOW_MS})
ON CONFLICT (id) DO NOTHING`;

export function oweWebhook(statements: Statements, promptId: string, webhook: OwedWebhook | undefined): void {
  if (webhook !== undefined) statements.run(OWE, webhook.id, promptId, webhook.body, webhook.url ?? null);
}
