/**
 * The name of a checkpoint on the hub: `owner/name`, or `owner/name/file.safetensors` for one file that is a whole checkpoint. `@` and a branch, tag or
 * commit follow where it is pinned.
 */

export interface HubId {
  /** `owner/name` */
  readonly id: string;
  /** `main`, unless the user pinned it. */
  readonly revision: string;
  /** One file of the repository, which is the whole checkpoint. Absent: the repository is a folder in the diffusers layout. */
  readonly file?: string;
}

/** The hub allows 96 characters for a name. A branch may have several hundred. */
const PATTERN = /^([A-Za-z0-9][\w.-]{0,95}\/[\w.-]{1,96})(?:\/([^@]{1,900}))?(?:@([\w./-]{1,1000}))?$/;
/** Weights, in the formats that are read and in those that are refused by name. */
const WEIGHTS = /\.(?:safetensors|sft|ckpt|pt|pth|bin|gguf)$/i;

/** Repositories that moved; their old names stand in people's scripts. */
const MOVED: ReadonlyMap<string, string> = new Map([
  ['runwayml/stable-diffusion-v1-5', 'stable-diffusion-v1-5/stable-diffusion-v1-5'],
]);

/** Undefined for a text that cannot be one. */
export function parseHubId(text: string): HubId | undefined {
  const match = PATTERN.exec(text);
  const [, id, file, revision = 'main'] = match ?? [];
  if (id === undefined || text.includes('..')) return undefined;
  const found = { id: MOVED.get(id) ?? id, revision };
  // `models/v1-5.safetensors` is a file that is missing, not a model of the hub.
  if (file === undefined) return WEIGHTS.test(id) ? undefined : found;
  return WEIGHTS.test(file) && isInside(file) ? { ...found, file } : undefined;
}

/** A path of parts that are names. */
function isInside(path: string): boolean {
  // oxlint-disable-next-line no-control-regex -- a NUL ends a path early
  return !/[\\\u0000]/.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** As the user names it, without the revision. */
export function hubName({ id, file }: Pick<HubId, 'id' | 'file'>): string {
  return file === undefined ? id : `${id}/${file}`;
}

/** SHA-1, or SHA-256 where a repository uses that. */
export function isCommit(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}
