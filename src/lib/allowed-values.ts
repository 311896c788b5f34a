/** Says which values a schema allows, in our sentences instead of zod's. A schema that brings its own sentence keeps it. */
import type { z } from 'zod';
import { countText } from './count-text.ts';

/** By zod's word for a type. */
const NEEDED: Readonly<Record<string, string>> = {
  number: 'a number is needed',
  int: 'a whole number is needed',
  string: 'a text is needed',
  boolean: 'true or false is needed',
  array: 'a list is needed',
  tuple: 'a list is needed',
  object: 'an object is needed',
  record: 'an object is needed',
};

/** For `safeParse`'s option `error`. */
export function allowedValues(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_value':
      return `allowed: ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'invalid_type':
      return NEEDED[issue.expected] ?? 'it has the wrong type';
    case 'too_small':
      return boundOf(issue, Number(issue.minimum), 'least');
    case 'too_big':
      return boundOf(issue, Number(issue.maximum), 'most');
    case 'invalid_union':
      return unionOf(issue.errors);
    case 'custom':
    case 'invalid_element':
    case 'invalid_format':
    case 'invalid_key':
    case 'not_multiple_of':
    case 'unrecognized_keys':
      return 'it is not allowed';
  }
}

/** A number, or the count of a list or text. */
function boundOf(
  { origin, inclusive }: { readonly origin: string; readonly inclusive?: boolean },
  bound: number,
  end: 'least' | 'most',
): string {
  const isCount = origin !== 'number' && origin !== 'int';
  if (isCount) return `allowed are at ${end} ${countText(bound, 'entry', 'entries')}`;
  if (inclusive !== false) return `allowed are numbers ${end === 'least' ? 'from' : 'up to'} ${bound}`;
  return `allowed are numbers ${end === 'least' ? 'above' : 'below'} ${bound}`;
}

/** Each way in which it could have been right. */
function unionOf(ways: readonly (readonly { readonly message: string }[])[]): string {
  const messages = new Set(ways.flatMap((issues) => issues[0]?.message ?? []));
  return [...messages].join(', or ') || 'it is not allowed';
}
