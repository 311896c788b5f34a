/** Leaves out keys without a value, for objects whose absent keys mean something. */

/** Keys that may be undefined may be missing instead. */
type OmitUndefined<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The same entries without those that are undefined; null stays. */
export function omitUndefined<T extends object>(record: T): OmitUndefined<T> {
  const stated = Object.entries(record).filter(([, value]) => value !== undefined);
  // `Object.fromEntries` knows no keys, and these are the record's own.
  return Object.fromEntries(stated) as OmitUndefined<T>;
}
