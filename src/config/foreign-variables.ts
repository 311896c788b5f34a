/** Variables that begin like ours but belong to no option: slips of the pen, named rather than ignored. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { excerpt } from '../lib/foreign-text.ts';
import { nearestName } from '../lib/nearest-name.ts';
import { type Environment, isOfKubernetes, stated } from './environment.ts';
import { environmentNameOf, flagOf, OPTION_NAMES, OPTIONS, type OptionName, type OptionSpec } from './options.ts';

const BEGINNING = 'TEXT2IMG_';
/** Of our tests, and of our image. */
const NO_OPTIONS = /^TEXT2IMG_(?:TEST_\w*|CONTAINER)$/;
/** They say where prompts and images are. A user who misspells one would generate into the embedded queue and not know it. */
const PLACES: readonly OptionName[] = ['mongoUri', 'gcsBucket'];
const MAX_NAMED = 20;
const MAX_LENGTH = 80;

/** @throws `invalid_option` for `TEXT2IMG_MONGO_URI` and its like, whose right names have no such beginning */
export function refuseMisnamedPlaces(environment: Environment): void {
  for (const name of PLACES) {
    const right = environmentNameOf(name);
    for (const ending of ['', '_FILE']) {
      const wrong = `${BEGINNING}${right}${ending}`;
      if (stated(environment, wrong) === undefined) continue;
      const isKnown = ending === '' || (OPTIONS[name] as OptionSpec).secret === true;
      throw new Text2ImgError(
        'invalid_option',
        `${wrong} is no variable of text2img; ${isKnown ? `it must be ${right}${ending}` : `use ${right}`} or ${flagOf(name)}.`,
      );
    }
  }
}

/** The names of all of them, each with the one that was perhaps meant; undefined when there are none. Values are not shown. */
export function unknownVariables(environment: Environment): string | undefined {
  const known = knownNames();
  const unknown = Object.entries(environment)
    .filter(([name, value]) => name.startsWith(BEGINNING) && !isExpected(name, value ?? '', known))
    .map(([name]) => name)
    .toSorted();
  if (unknown.length === 0) return undefined;
  const named = unknown.slice(0, MAX_NAMED).map((name) => {
    const near = nearestOf(name, known);
    return near === undefined ? excerpt(name, MAX_LENGTH) : `${excerpt(name, MAX_LENGTH)} (perhaps ${near})`;
  });
  const more = unknown.length > MAX_NAMED ? ` and ${unknown.length - MAX_NAMED} more` : '';
  return `${named.join(', ')}${more}`;
}

function isExpected(name: string, value: string, known: ReadonlySet<string>): boolean {
  return known.has(name) || NO_OPTIONS.test(name) || isOfKubernetes(name, value);
}

function knownNames(): ReadonlySet<string> {
  return new Set(
    OPTION_NAMES.flatMap((name) => {
      const variable = environmentNameOf(name);
      return (OPTIONS[name] as OptionSpec).secret ? [variable, `${variable}_FILE`] : [variable];
    }),
  );
}

function nearestOf(name: string, known: ReadonlySet<string>): string | undefined {
  const short = name.slice(BEGINNING.length);
  if (known.has(short)) return short;
  const ours = [...known].filter((one) => one.startsWith(BEGINNING)).map((one) => one.slice(BEGINNING.length));
  const near = nearestName(short, ours);
  return near === undefined ? undefined : `${BEGINNING}${near}`;
}
