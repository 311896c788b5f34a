/** The name of a checkpoint on the hub: `owner/name`, with `@` and a branch, tag or commit where it is pinned. */

export interface HubId {
  /** `owner/name` */
  readonly id: string;
  /** `main`, unless the user pinned it. */
  readonly revision: string;
}

const PATTERN = /^([A-Za-z0-9][\w.-]*\/[\w.-]+)(?:@([\w./-]+))?$/;

/** Repositories that moved; their old names stand in people's scripts. */
const MOVED: Readonly<Record<string, string>> = {
  'runwayml/stable-diffusion-v1-5': 'stable-diffusion-v1-5/stable-diffusion-v1-5',
};

/** Undefined for a text that cannot be one. */
export function parseHubId(text: string): HubId | undefined {
  const match = PATTERN.exec(text);
  const [, id, revision = 'main'] = match ?? [];
  if (id === undefined || text.includes('..')) return undefined;
  return { id: MOVED[id] ?? id, revision };
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}
