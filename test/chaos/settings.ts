/** What the chaos test and its workers agree on. */
export const COLLECTION = 'prompts';
export const LEASE_MS = 2000;
/** More than the faults of one run use up, because a document that ends so is no finding; one that is lost is. */
export const MAX_ATTEMPTS = 50;
export const MODEL_STEPS = 3;
export const WORKERS = 6;
