/**
 * The protocol by which an image is published, as a model small enough to look at every state: workers that claim, crash, freeze and wake up, leases that
 * run out, documents that are given back, reset or deleted and inserted again, objects that are deleted, and two documents of one plain name. The real
 * thing is in `src/queue`, `src/storage` and `src/worker/image-places.ts`; here each of its requests is one step that others may come between.
 */

/** What is left out, to see that the model notices. */
export type Mutant =
  /** An upload carries no precondition. */
  | 'upload-without-precondition'
  /** An overwrite does not name the generation that was seen. */
  | 'overwrite-any-generation'
  /** A document is completed without its token. */
  | 'complete-without-token'
  /** Another run's object is overwritten without renewing the claim first. */
  | 'overwrite-without-renewal'
  /** The document's key beside the object is not read. */
  | 'overwrite-a-namesake'
  /** The hashed name is used, but not written into the document. */
  | 'name-not-recorded'
  /** It is written only with the completion. */
  | 'name-recorded-late'
  /** Any name that stands in a document is believed. */
  | 'name-believed';

export interface Bounds {
  readonly documents: 1 | 2;
  readonly workers: number;
  /** Of all documents together. */
  readonly runs: number;
  readonly claims: number;
  /** Times that a document is deleted and inserted again. */
  readonly reinsertions: number;
  /** Times that the plain name's object is deleted. */
  readonly deletions: number;
}

interface StoredObject {
  readonly owner: number;
  readonly run: number;
  readonly generation: number;
}

interface Document {
  status: 'pending' | 'processing' | 'completed' | 'error';
  token: number;
  run: number;
  isExpired: boolean;
  resumes: boolean;
  /** Where its `job.object_name` points: nowhere, to its own hashed name, or, forged, to the other document's. */
  objectName: 'none' | 'own' | 'forged';
  /** What it was completed with. */
  published: { readonly name: number; readonly generation: number; readonly run: number } | null;
}

interface Worker {
  /** `stored`: it has the object; `saw`: it knows what lies there; `may`: it renewed its claim and may overwrite that. */
  at: 'idle' | 'drawn' | 'saw' | 'may' | 'stored';
  document: number;
  token: number;
  run: number;
  /** Index of the object's name: 0 is the plain one of both, 1 and 2 are the hashed ones. */
  name: number;
  seen: StoredObject | null;
}

export interface State {
  documents: Document[];
  workers: Worker[];
  objects: (StoredObject | null)[];
  /** Counters. */
  generation: number;
  tokens: number;
  runs: number;
  reinsertions: number;
  deletions: number;
  /** Runs whose completion was told. */
  told: number[];
}

const PLAIN = 0;
const IDLE: Worker = { at: 'idle', document: 0, token: 0, run: 0, name: 0, seen: null };

function inserted(objectName: Document['objectName']): Document {
  return { status: 'pending', token: 0, run: 0, isExpired: false, resumes: false, objectName, published: null };
}

export function firstState({ documents, workers }: Bounds): State {
  return {
    // The last of two was inserted by somebody who wants the other's name.
    documents: Array.from({ length: documents }, (_, index) => inserted(index === 1 ? 'forged' : 'none')),
    workers: Array.from({ length: workers }, () => ({ ...IDLE })),
    objects: [null, null, null],
    generation: 0,
    tokens: 0,
    runs: 0,
    reinsertions: 0,
    deletions: 0,
    told: [],
  };
}

export interface Step {
  readonly what: string;
  readonly next: State;
}

/** Everything that may happen next. */
export function stepsFrom(state: State, bounds: Bounds, mutant?: Mutant): readonly Step[] {
  const steps: Step[] = [];
  const add = (what: string, change: (copy: State) => void): void => {
    const next = structuredCloneOf(state);
    change(next);
    steps.push({ what, next });
  };
  state.documents.forEach((document, index) => documentSteps(state, { document, index, bounds, add }));
  if (state.objects[PLAIN] !== null && state.deletions < bounds.deletions)
    add('the plain object is deleted', (copy) => {
      copy.deletions++;
      copy.objects[PLAIN] = null;
    });
  state.workers.forEach((worker, index) => {
    if (worker.at === 'idle') claimSteps(state, { index, bounds, mutant, add });
    else workSteps(state, { worker, index, mutant, add });
  });
  return steps;
}

type Add = (what: string, change: (copy: State) => void) => void;

function documentSteps(
  state: State,
  {
    document,
    index,
    bounds,
    add,
  }: { readonly document: Document; readonly index: number; readonly bounds: Bounds; readonly add: Add },
): void {
  const of = (copy: State): Document => copy.documents[index] as Document;
  if (document.status === 'processing' && !document.isExpired)
    add(`lease of ${index} ends`, (copy) => void (of(copy).isExpired = true));
  if (document.status === 'completed' && state.runs < bounds.runs)
    add(`${index} is reset`, (copy) => void Object.assign(of(copy), { status: 'pending', resumes: false }));
  if (state.reinsertions < bounds.reinsertions)
    add(`${index} is inserted again`, (copy) => {
      copy.reinsertions++;
      copy.documents[index] = inserted('none');
    });
}

function claimSteps(
  state: State,
  {
    index,
    bounds,
    mutant,
    add,
  }: { readonly index: number; readonly bounds: Bounds; readonly mutant: Mutant | undefined; readonly add: Add },
): void {
  if (state.tokens >= bounds.claims) return;
  state.documents.forEach((document, of) => {
    const isPending = document.status === 'pending' && (document.resumes || state.runs < bounds.runs);
    if (!isPending && !(document.status === 'processing' && document.isExpired)) return;
    add(`worker ${index} claims ${of}`, (copy) => {
      const claimed = copy.documents[of] as Document;
      if (isPending && !claimed.resumes) claimed.run = ++copy.runs;
      const token = ++copy.tokens;
      Object.assign(claimed, { status: 'processing', token, resumes: false, isExpired: false });
      const name = nameOf(of, claimed, mutant);
      copy.workers[index] = { ...IDLE, at: 'drawn', document: of, token, run: claimed.run, name };
    });
  });
}

/** What stands in the document counts only where it is its own hashed name. */
function nameOf(index: number, { objectName }: Document, mutant: Mutant | undefined): number {
  if (objectName === 'own') return 1 + index;
  return objectName === 'forged' && mutant === 'name-believed' ? 2 - index : PLAIN;
}

interface WorkStep {
  readonly worker: Worker;
  readonly index: number;
  readonly mutant: Mutant | undefined;
  readonly add: Add;
}

function workSteps(state: State, step: WorkStep): void {
  const { worker, index, mutant, add } = step;
  const document = state.documents[worker.document] as Document;
  const owns = document.status === 'processing' && document.token === worker.token;
  const me = (copy: State): Worker => copy.workers[index] as Worker;
  const mine = (copy: State): Document => copy.documents[worker.document] as Document;
  const leave = (copy: State): void => void (copy.workers[index] = { ...IDLE });
  add(`worker ${index} dies`, leave);
  if (owns && document.isExpired) add(`worker ${index} renews`, (copy) => void (mine(copy).isExpired = false));
  if (owns && worker.at === 'drawn')
    add(`worker ${index} gives back`, (copy) => {
      Object.assign(mine(copy), { status: 'pending', resumes: true, token: 0, isExpired: false });
      leave(copy);
    });
  if (worker.at === 'drawn')
    add(`worker ${index} uploads`, (copy) => {
      const existing = copy.objects[worker.name] ?? null;
      if (existing === null || mutant === 'upload-without-precondition') store(copy, me(copy));
      else Object.assign(me(copy), { at: 'saw', seen: existing });
    });
  if (worker.at === 'saw') add(`worker ${index} decides`, (copy) => decide(copy, { ...step, owns, leave }));
  if (worker.at === 'may')
    add(`worker ${index} overwrites`, (copy) => {
      const existing = copy.objects[worker.name] ?? null;
      const isSeen = existing !== null && existing.generation === worker.seen?.generation;
      if (isSeen || (existing !== null && mutant === 'overwrite-any-generation')) store(copy, me(copy));
      else Object.assign(me(copy), existing === null ? { at: 'drawn', seen: null } : { at: 'saw', seen: existing });
    });
  if (worker.at === 'stored') add(`worker ${index} completes`, (copy) => complete(copy, { ...step, owns, leave }));
}

function store(copy: State, worker: Worker): void {
  copy.objects[worker.name] = { owner: worker.document, run: worker.run, generation: ++copy.generation };
  Object.assign(worker, { at: 'stored', seen: null });
}

interface Decision extends WorkStep {
  readonly owns: boolean;
  readonly leave: (copy: State) => void;
}

/** Ours is adopted; a namesake's sends us to the hashed name; an earlier run's is overwritten by whoever still has the claim. */
function decide(copy: State, { worker, index, mutant, owns, leave }: Decision): void {
  const me = copy.workers[index] as Worker;
  const document = copy.documents[worker.document] as Document;
  const seen = worker.seen as StoredObject;
  const isNamesakes = seen.owner !== worker.document && mutant !== 'overwrite-a-namesake';
  if (isNamesakes && worker.name === PLAIN) {
    if (!owns) return leave(copy);
    if (mutant !== 'name-not-recorded' && mutant !== 'name-recorded-late') document.objectName = 'own';
    document.isExpired = false;
    return void Object.assign(me, { at: 'drawn', name: 1 + worker.document, seen: null });
  }
  if (isNamesakes) {
    if (owns) Object.assign(document, { status: 'error', published: null });
    return leave(copy);
  }
  if (seen.run === worker.run) return void Object.assign(me, { at: 'stored', seen: null });
  if (mutant !== 'overwrite-without-renewal') {
    if (!owns) return leave(copy);
    document.isExpired = false;
  }
  me.at = 'may';
}

function complete(copy: State, { worker, mutant, owns, leave }: Decision): void {
  const document = copy.documents[worker.document] as Document;
  const may = owns || (mutant === 'complete-without-token' && document.status === 'processing');
  if (may) {
    const generation = copy.objects[worker.name]?.generation ?? 0;
    Object.assign(document, { status: 'completed', published: { name: worker.name, generation, run: worker.run } });
    if (mutant === 'name-recorded-late' && worker.name !== PLAIN) document.objectName = 'own';
    copy.told.push(worker.run);
  }
  leave(copy);
}

/** What must never be; undefined where all is well. */
export function faultIn(state: State): string | undefined {
  if (new Set(state.told).size !== state.told.length) return 'a run was published twice';
  for (const [index, { status, published }] of state.documents.entries()) {
    if (status === 'error') return 'a document ended although nothing was wrong with it';
    if (status !== 'completed' || published === null) continue;
    const object = state.objects[published.name] ?? null;
    const hashed = state.objects[1 + index] ?? null;
    if (published.name === PLAIN && hashed?.owner === index && hashed.run === published.run)
      return 'a run lies under two names';
    // Somebody deleted it, and may have had something else stored in its place.
    if (published.name === PLAIN && state.deletions > 0) continue;
    if (object === null || object.owner !== index) return 'a completed document names another document’s image';
    if (object.run !== published.run) return 'a completed document names another run’s image';
    if (object.generation !== published.generation) return 'a published image was changed';
  }
  return undefined;
}

/** Faster than `structuredClone` by far: these are a million small plain objects. */
function structuredCloneOf(state: State): State {
  return {
    ...state,
    documents: state.documents.map((document) => ({ ...document })),
    workers: state.workers.map((worker) => ({ ...worker })),
    objects: [...state.objects],
    told: [...state.told],
  };
}
