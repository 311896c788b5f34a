/** The walks of the queue: which part of which index, in which order, and what of it is ours. */
import { Decimal128, Double, Int32, Long } from 'mongodb';
import { canBeSent, documentIdOf } from './bson-ids.ts';
import {
  ATTEMPTS,
  HAS_LEASE_DATE,
  IS_TOO_LARGE,
  LABEL_TYPES_OF,
  LEASE_IS_OURS,
  LEASE_IS_OVER,
  literal,
  statusIs,
} from './expressions.ts';
import type { IndexHints } from './indexes.ts';
import type { PromptFilter, PromptProjection } from './statement-types.ts';
import type { StoredDocument } from './statements.ts';
import type { Find, Spot, WalkPlan, Zone } from './walk-plan.ts';

const PENDING = { status: 'pending' } as const;
const BY_PRIORITY = { priority: -1, _id: 1 } as const;
const BY_ID = { _id: 1 } as const;

const NESTED_LOOK_MS = 10_000;

/** Of a list its elements count. One type at a time the server enters the index at it; for several together it reads all. */
const ODD_TYPES = [
  'minKey',
  'maxKey',
  'string',
  'symbol',
  'object',
  'binData',
  'objectId',
  'bool',
  'date',
  'regex',
  'timestamp',
  'javascript',
  'javascriptWithScope',
  'dbPointer',
  'undefined',
] as const;

/** Documents whose `job.model` is no text. Of a list its elements count: a list of names that no worker has is not found. */
const ODD_MODELS: PromptFilter = {
  $or: [
    ...[...ODD_TYPES.filter((type) => type !== 'string' && type !== 'undefined'), 'number' as const].map((type) => ({
      'job.model': { $type: type },
    })),
    { 'job.model': [] },
  ],
};

/** Some of the pending documents, and the index in which they lie by priority. */
export interface PendingScope {
  readonly filter: PromptFilter;
  readonly hint: keyof IndexHints;
  /** The filter asks for `job.model` null. A `job` that is a list of numbers does not match it; such documents end in error as well. */
  readonly hasLists?: boolean;
}

/** Priorities above 0, 0 or none, and below. */
export const PENDING_ZONES = 3;

/**
 * A missing priority counts as 0, but MongoDB sorts it behind every number. So there are zones, each in the index's order. `$expr` compares ids of
 * all types, but a query compares those of one type only. If the filter also names a single priority, the server enters the index at that place.
 */
export function pendingZones({ filter: scope, hint }: PendingScope): readonly Zone[] {
  const pending = { ...PENDING, ...scope };
  return [
    numbers({ pending, hint, range: { $gt: 0 } }),
    {
      finds: (place) => [
        { filter: { ...pending, priority: { $in: [0, null] }, ...behindId(place) }, sort: BY_ID, hint },
      ],
      behind: (document, spot) => spotAt(placeOfId(document), spot),
    },
    numbers({ pending, hint, range: { $lt: 0 } }),
  ];
}

/** They are few, so the index of all pending documents finds those of a scope as well. */
function oddZones({ filter: scope, hint, hasLists = false }: PendingScope): readonly Zone[] {
  const behind: Zone['behind'] = (_, spot) => oneMore(spot);
  const odd = (filter: PromptFilter): Zone => ({
    finds: () => [{ filter: { ...PENDING, ...scope, ...filter }, sort: BY_PRIORITY, hint: 'pending' }],
    behind,
  });
  const lists: PromptFilter = { ...PENDING, 'job.model': { $exists: false }, job: { $type: 'array' } };
  return [
    // NaN, texts and the like, in any order: their prompts end in error.
    odd({ $or: [...ODD_TYPES.map((type) => ({ priority: { $type: type } })), { priority: NaN }, { priority: [] }] }),
    // For lists in lists the server reads the whole index.
    { ...odd({ priority: { $type: 'array' } }), everyMs: NESTED_LOOK_MS },
    // Only when nothing else can be claimed, so the server goes through few documents without a model.
    ...(hasLists
      ? [{ finds: () => [{ filter: lists, sort: BY_PRIORITY, hint }], behind, everyMs: NESTED_LOOK_MS }]
      : []),
    // A selection of models finds none of them.
    ...(hint === 'models'
      ? [
          {
            finds: () => [{ filter: { ...PENDING, ...ODD_MODELS }, sort: { 'job.model': 1 } as const, hint }],
            behind,
            everyMs: NESTED_LOOK_MS,
          },
        ]
      : []),
  ];
}

interface NumberZone {
  readonly pending: PromptFilter;
  readonly hint: keyof IndexHints;
  readonly range: { readonly $gt: 0 } | { readonly $lt: 0 };
}

function numbers({ pending, hint, range }: NumberZone): Zone {
  return {
    finds: (place): readonly Find[] => {
      if (place === undefined) return [{ filter: { ...pending, priority: range }, sort: BY_PRIORITY, hint }];
      const priority: unknown = place['priority'];
      return [
        { filter: { ...pending, priority: { $eq: priority }, ...behindId(place) }, sort: BY_ID, hint },
        {
          filter: { ...pending, $and: [{ priority: range }, { priority: { $lt: priority } }] },
          sort: BY_PRIORITY,
          hint,
        },
      ];
    },
    behind: (document, spot) => {
      const priority: unknown = document['priority'];
      const isNumber =
        typeof priority === 'number' || [Long, Double, Int32, Decimal128].some((type) => priority instanceof type);
      const place = placeOfId(document);
      return spotAt(isNumber && place !== undefined ? { ...place, priority } : undefined, spot);
    },
  };
}

function behindId(place: StoredDocument | undefined): PromptFilter {
  return place === undefined ? {} : { $expr: { $gt: ['$_id', literal(place._id)] } };
}

function placeOfId({ _id }: StoredDocument): StoredDocument | undefined {
  // Text that was not UTF-8 is read as another one.
  const isExact = canBeSent(_id) && !(documentIdOf(_id).kind === 'string' && String(_id).includes('\uFFFD'));
  return isExact ? { _id } : undefined;
}

/** Where the place of a document cannot be said it is counted from the last one that could. */
function spotAt(place: StoredDocument | undefined, spot: Spot): Spot {
  return place === undefined ? oneMore(spot) : { place, skip: 0 };
}

function oneMore({ place, skip }: Spot): Spot {
  return { place, skip: skip + 1 };
}

const PENDING_PROJECTION: PromptProjection = {
  _id: 1,
  priority: 1,
  job_type: { $type: '$job' },
  is_ours: statusIs('pending'),
  is_too_large: IS_TOO_LARGE,
  ...LABEL_TYPES_OF,
};

/** Pending documents, those to be generated first in front. */
export function pendingPlan(scope: PendingScope): WalkPlan {
  return {
    zones: [...pendingZones(scope), ...oddZones(scope)],
    projection: PENDING_PROJECTION,
    kindOf: ({ is_ours: isOurs }) => (isOurs === true ? 'ours' : 'foreign'),
  };
}

/** A lease has whole milliseconds, so several documents may share one: those of them that were passed over are counted. */
const byLease = (scope: PromptFilter): Zone => ({
  finds: (place) => [
    {
      filter: {
        ...scope,
        ...HAS_LEASE_DATE,
        ...(place === undefined ? {} : { 'job.lease_until': { $type: 'date', $gte: place['lease_until'] } }),
      },
      sort: { 'job.lease_until': 1 },
      hint: 'processing',
    },
  ],
  behind: ({ lease_until: lease }, spot) => {
    const last = spot.place?.['lease_until'];
    const isDate = lease instanceof Date && !Number.isNaN(lease.getTime());
    if (!isDate || (last instanceof Date && last.getTime() === lease.getTime())) return oneMore(spot);
    return { place: { lease_until: lease }, skip: 1 };
  },
});

/** Nobody's lease lies so far ahead: what does is found at the other end of the index. */
const farthestFirst = (scope: PromptFilter): Zone => ({
  finds: () => [{ filter: { ...scope, ...HAS_LEASE_DATE }, sort: { 'job.lease_until': -1 }, hint: 'processing' }],
  behind: (_, spot) => oneMore(spot),
});

/** Processing documents whose lease is over, the oldest in front. @param isWanted by the attempts that were made */
export function endedPlan(isWanted: (attempts: number) => boolean, scope: PromptFilter): WalkPlan {
  const odd = { ...byLease(ODD_MODELS), everyMs: NESTED_LOOK_MS };
  return leasePlan(isWanted, 'job.model' in scope ? [byLease(scope), odd] : [byLease(scope)]);
}

/** The same, for leases that none of our workers writes. */
export function farPlan(isWanted: (attempts: number) => boolean, scope: PromptFilter): WalkPlan {
  return leasePlan(isWanted, [farthestFirst(scope)]);
}

function leasePlan(isWanted: (attempts: number) => boolean, zones: readonly Zone[]): WalkPlan {
  return {
    zones,
    projection: {
      _id: 1,
      lease_until: '$job.lease_until',
      is_ours: LEASE_IS_OURS,
      is_over: LEASE_IS_OVER,
      attempts: ATTEMPTS,
      ...LABEL_TYPES_OF,
    },
    kindOf: ({ is_ours: isOurs, is_over: isOver, attempts }) => {
      if (isOurs !== true) return 'foreign';
      if (isOver !== true) return 'end';
      return isWanted(Number(attempts)) ? 'ours' : 'foreign';
    },
  };
}
