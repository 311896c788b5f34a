/** The value of `--prediction-type`: one for the model, or one for each of several, as name=type with commas between them. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { oneOf, type ValueType } from './value-types.ts';

const TYPES = ['epsilon', 'v_prediction', 'sample'] as const;
type PredictionType = (typeof TYPES)[number];

/** A map has the types by the names of the models. */
export type PredictionTypes = PredictionType | ReadonlyMap<string, PredictionType>;

const plain = oneOf(TYPES);
/** A type has no "=", so the last one is the one between. */
const NAMED = /^(.*)=([^=]*)$/s;

export const predictionTypes: ValueType<PredictionTypes> = {
  names: TYPES,
  parseText: (value) => {
    if (!value.includes('=')) return plain.parseText(value);
    const named = value.split(',').map((piece) => namedType(piece.trim()));
    if (!named.every((one) => one !== undefined)) return undefined;
    const byName = new Map(named);
    return byName.size === named.length ? byName : undefined;
  },
};

function namedType(piece: string): readonly [string, PredictionType] | undefined {
  const [, name = '', text = ''] = NAMED.exec(piece) ?? [];
  const type = plain.parseText(text.trim());
  return type === undefined || name.trim() === '' ? undefined : [name.trim(), type];
}

/** For a command with one model. @throws `conflicting_options` where the types are by name */
export function onlyPredictionType(types: PredictionTypes | undefined): PredictionType | undefined {
  if (types === undefined || typeof types === 'string') return types;
  throw new Text2ImgError(
    'conflicting_options',
    `--prediction-type with names is for --models; for one model give the type alone, as --prediction-type ${[...types.values()][0]}.`,
  );
}
