/** What the chaos test, its workers and its servers agree on. */
export const COLLECTION = 'prompts';
export const LEASE_MS = 2000;
/** More than the faults of one run use up, because a document that ends so is no finding; one that is lost is. */
export const MAX_ATTEMPTS = 50;
export const MODEL_STEPS = 3;
export const WORKERS = 6;

/** The first is the default: documents that name none are for it. */
export const MODELS = ['instant', 'other'] as const;
export type Model = (typeof MODELS)[number];

/** API keys by name. `limited` may have few open jobs, which `MAX_OPEN_OF_LIMITED` says. */
export const KEY_NAMES = ['anna', 'ben', 'limited'] as const;
export type KeyName = (typeof KEY_NAMES)[number];
export const MAX_OPEN_OF_LIMITED = 2;
