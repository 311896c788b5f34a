/** The name of a checkpoint on the hub: `owner/name`, with `@` and a branch, tag or commit where it is pinned. */

export interface HubId {
  /** `owner/name` */
  readonly id: string;
  /** `main`, unless the user pinned it. */
  readonly revision: string;
}

/** The hub allows 96 characters for a name. A branch may have several hundred. */
const PATTERN = /^([A-Za-z0-9][\w.-]{0,95}\/[\w.-]{1,96})(?:@([\w./-]{1,1000}))?$/;

/** Repositories that moved; their old names stand in people's scripts. */
const MOVED: ReadonlyMap<string, string> = new Map([
  ['runwayml/stable-diffusion-v1-5', 'stable-diffusion-v1-5/stable-diffusion-v1-5'],
]);

/** Undefined for a text that cannot be one. */
export function parseHubId(text: string): HubId | undefined {
  const match = PATTERN.exec(text);
  const [, id, revision = 'main'] = match ?? [];
  if (id === undefined || text.includes('..')) return undefined;
  return { id: MOVED.get(id) ?? id, revision };
}

/** SHA-1, or SHA-256 where a repository uses that. */
export function isCommit(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}
