/** Models as the queue selects documents by them. */
import type { PoolModel } from '../engine/pool.ts';
import type { ModelSelection } from '../queue/prompt-queue.ts';

export function selectionOf(models: readonly Pick<PoolModel, 'id' | 'takesUnnamed'>[]): ModelSelection {
  return { named: models.map(({ id }) => id), takesUnnamed: models.some(({ takesUnnamed }) => takesUnnamed) };
}
