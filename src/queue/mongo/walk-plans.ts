/** The walks of the queue: which part of which index, in which order, and what of it is ours. */
import { Decimal128, Double, Int32, Long } from 'mongodb';
import { canBeSent, documentIdOf } from './bson-ids.ts';
import {
  ATTEMPTS,
  HAS_LEASE_DATE,
  IS_TOO_LARGE,
  LEASE_IS_OURS,
  LEASE_IS_OVER,
  literal,
  statusIs,
} from './expressions.ts';
import type { PromptFilter } from './statement-types.ts';
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

/**
 * A missing priority counts as 0, but MongoDB sorts it behind every number. So there are zones, each in the index's order. `$expr` compares ids of
 * all types, but a query compares those of one type only. If the filter also names a single priority, the server enters the index at that place.
 */
const ZONES: readonly Zone[] = [
  numbers({ $gt: 0 }),
  {
    finds: (place) => [{ filter: { ...PENDING, priority: { $in: [0, null] }, ...behindId(place) }, sort: BY_ID }],
    behind: (document, spot) => spotAt(placeOfId(document), spot),
  },
  numbers({ $lt: 0 }),
  // NaN, texts and the like, in any order: their prompts end in error.
  odd({ $or: [...ODD_TYPES.map((type) => ({ priority: { $type: type } })), { priority: NaN }, { priority: [] }] }),
  // For lists in lists the server reads the whole index.
  { ...odd({ priority: { $type: 'array' } }), everyMs: NESTED_LOOK_MS },
];

function odd(filter: PromptFilter): Zone {
  return {
    finds: () => [{ filter: { ...PENDING, ...filter }, sort: BY_PRIORITY }],
    behind: (_, spot) => oneMore(spot),
  };
}

function numbers(range: { readonly $gt: 0 } | { readonly $lt: 0 }): Zone {
  return {
    finds: (place): readonly Find[] => {
      if (place === undefined) return [{ filter: { ...PENDING, priority: range }, sort: BY_PRIORITY }];
      const priority: unknown = place['priority'];
      return [
        { filter: { ...PENDING, priority: { $eq: priority }, ...behindId(place) }, sort: BY_ID },
        { filter: { ...PENDING, $and: [{ priority: range }, { priority: { $lt: priority } }] }, sort: BY_PRIORITY },
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

/** Pending documents, those to be generated first in front. */
export const PENDING_PLAN: WalkPlan = {
  zones: ZONES,
  hint: 'pending',
  projection: {
    _id: 1,
    priority: 1,
    job_type: { $type: '$job' },
    is_ours: statusIs('pending'),
    is_too_large: IS_TOO_LARGE,
  },
  kindOf: ({ is_ours: isOurs }) => (isOurs === true ? 'ours' : 'foreign'),
};

/** A lease has whole milliseconds, so several documents may share one: those of them that were passed over are counted. */
const BY_LEASE: Zone = {
  finds: (place) => [
    {
      filter:
        place === undefined
          ? HAS_LEASE_DATE
          : { ...HAS_LEASE_DATE, 'job.lease_until': { $type: 'date', $gte: place['lease_until'] } },
      sort: { 'job.lease_until': 1 },
    },
  ],
  behind: ({ lease_until: lease }, spot) => {
    const last = spot.place?.['lease_until'];
    const isDate = lease instanceof Date && !Number.isNaN(lease.getTime());
    if (!isDate || (last instanceof Date && last.getTime() === lease.getTime())) return oneMore(spot);
    return { place: { lease_until: lease }, skip: 1 };
  },
};

/** Nobody's lease lies so far ahead: what does is found at the other end of the index. */
const FARTHEST_FIRST: Zone = {
  finds: () => [{ filter: HAS_LEASE_DATE, sort: { 'job.lease_until': -1 } }],
  behind: (_, spot) => oneMore(spot),
};

/** Processing documents whose lease is over, the oldest in front. @param isWanted by the attempts that were made */
export function endedPlan(isWanted: (attempts: number) => boolean, zone = BY_LEASE): WalkPlan {
  return {
    zones: [zone],
    hint: 'processing',
    projection: {
      _id: 1,
      lease_until: '$job.lease_until',
      is_ours: LEASE_IS_OURS,
      is_over: LEASE_IS_OVER,
      attempts: ATTEMPTS,
    },
    kindOf: ({ is_ours: isOurs, is_over: isOver, attempts }) => {
      if (isOurs !== true) return 'foreign';
      if (isOver !== true) return 'end';
      return isWanted(Number(attempts)) ? 'ours' : 'foreign';
    },
  };
}

/** The same, for leases that none of our workers writes. */
export function farPlan(isWanted: (attempts: number) => boolean): WalkPlan {
  return endedPlan(isWanted, FARTHEST_FIRST);
}
