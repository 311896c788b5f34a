/** Times as the web UI writes them: `20261126070501`; here in UTC. */

export function timestamp(date: Date): string {
  return date.toISOString().replaceAll(/\D/g, '').slice(0, 14);
}
