/** The plan of a walk: parts of an index, in their order, and which of the documents there the walk takes. */
import type { IndexHints } from './indexes.ts';
import type { PromptFilter, PromptProjection, PromptSort } from './statement-types.ts';
import type { StoredDocument } from './statements.ts';

/** A part of an index in its order, as finds that follow one another. */
export interface Zone {
  finds(place: StoredDocument | undefined): readonly Find[];
  /** The spot behind this document, which comes next after the given one. */
  behind(document: StoredDocument, spot: Spot): Spot;
  /** It is dear to read and hardly ever holds anything: looked at so often, and only where the others hold nothing. */
  readonly everyMs?: number;
}

/** How far a walk has come: so many documents behind a place that a query can name. */
export interface Spot {
  readonly place: StoredDocument | undefined;
  readonly skip: number;
}

export interface Find {
  readonly filter: PromptFilter;
  readonly sort: PromptSort;
  readonly hint: keyof IndexHints;
}

export interface WalkPlan {
  readonly zones: readonly Zone[];
  /** Read of each document; it must tell `_id`. */
  readonly projection: PromptProjection;
  /** `end`: nothing behind it in this zone is of use. */
  kindOf(document: StoredDocument): 'ours' | 'foreign' | 'end';
}
