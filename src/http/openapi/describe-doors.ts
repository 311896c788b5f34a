/** The descriptions of all doors, and of the server itself. */
import type { PromptLimits } from '../../job/limits.ts';
import type { Door } from '../server/door.ts';
import type { DoorDescription } from './route-record.ts';
import { SERVER_DESCRIPTION } from './server-routes.ts';

export function describeDoors(doors: readonly Door[], limits: PromptLimits): readonly DoorDescription[] {
  return [...doors.flatMap((door) => door.describe?.(limits) ?? []), SERVER_DESCRIPTION];
}
