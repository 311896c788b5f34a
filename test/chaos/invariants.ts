/**
 * What must hold in the end, all in one place. `proves` is the promise of which the invariant is the proof: a sentence of the servers' specification,
 * or of docs/mongodb.md and ARCHITECTURE.md for documents.
 */

interface Invariant {
  readonly holds: string;
  readonly proves: string;
}

const INVARIANTS = {
  // documents: verdict/document-verdict.ts
  documentsEnd: {
    holds: 'Each document ends, and no lease is left on it.',
    proves: 'A document changes after its claim only under the token that claimed it.',
  },
  troubleFailsNoJob: {
    holds: 'No document ends as an error, but those that somebody mangled or cancelled.',
    proves: 'Trouble of the environment ends no job and uses up no attempt.',
  },
  nothingIsLost: {
    holds: 'Each document that was inserted is there, with all its foreign fields.',
    proves: 'The service never changes or removes your fields.',
  },
  imagesAreRight: {
    holds: 'The object that a completed document names is there, is of its own run, and shows what was asked for.',
    proves: '`completed` is written after the images are stored.',
  },
  runsCompleteOnce: {
    holds: 'No run is completed twice, and none publishes an object twice.',
    proves: 'Another worker continues with the same run and seed, and the old one can no longer publish.',
  },
  webhooksAreTold: {
    holds: 'Each completed run has told its webhook, always in the same bytes, and no forged webhook was sent.',
    proves: 'The webhook is recorded in the same write.',
  },
  modelsAreRouted: {
    holds: 'A document is generated with the model that its request named.',
    proves: 'Models: `--models a,b,c` (id, folder or file; `name=…` aliases), routing, swapping within the pool.',
  },
  // requests: verdict/client-verdict.ts
  requestsEnd: {
    holds: 'Each request ends with its images, or with a code after which a repetition is no use.',
    proves: 'Every request ends with a result or a code.',
  },
  codesAreStable: {
    holds: 'Each error that any attempt was answered with names a code of the table, and none is `internal`.',
    proves: 'A stable code in the door’s own error shape.',
  },
  streamsSayTheirEnd: {
    holds:
      'A stream that ends by itself ends with `image_generation.completed` or `error`; its partial images count from 0.',
    proves: '`stream: true` sends real partial images and `image_generation.completed` with `usage`.',
  },
  oneKeyOneDocument: {
    holds:
      'Under one Idempotency-Key each prompt becomes one document, whichever server was asked or killed; each answer names it.',
    proves: 'Nothing is generated twice for one key.',
  },
  attemptsAddOnce: {
    holds:
      'Without a key, an attempt adds its documents or takes one over, never both; a first attempt takes none over.',
    proves:
      'Every door is a producer: disconnects, keys, adoption of a retry without a key. A server that dies loses nothing.',
  },
  documentsCompleteOnce: {
    holds: 'Each document of a client is completed once at most.',
    proves: 'Nothing is generated twice for one key.',
  },
  answersAreTheImages: {
    holds: 'The images of an answer are the bytes that the store has for the document.',
    proves: 'Every door is a producer: the answer names the document’s id.',
  },
  refusedAddNothing: {
    holds: 'A broken upload, a wrong key and an attempt that is answered with a fault of the client add no document.',
    proves: 'A stable code, nothing enqueued.',
  },
  keysSeeTheirOwn: {
    holds: 'A document carries the name of its request’s key; to another key it is not there (404).',
    proves: 'Ids of other keys (404), wrong and revoked keys.',
  },
  nobodyIsUnknown: {
    holds: 'Each document was inserted by the producer or asked for by a client.',
    proves: 'Every door is a producer.',
  },
} as const satisfies Record<string, Invariant>;
type InvariantName = keyof typeof INVARIANTS;

export interface Violation {
  readonly invariant: InvariantName;
  /** What was found. */
  readonly found: string;
}

export function violation(invariant: InvariantName, found: string): Violation {
  return { invariant, found };
}

export function textOf({ invariant, found }: Violation): string {
  return `${invariant}: ${found}. It must hold: ${INVARIANTS[invariant].holds}`;
}
