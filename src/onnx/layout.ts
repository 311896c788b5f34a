/** The order of a feature map's dimensions in memory. A value's `shape` always names them as batch, channels, height, width. */
import { Text2ImgError } from '../errors/text2img-error.ts';

/** Of a feature map; absent: as its shape says. */
export type Layout = 'channels-last';

interface Placed {
  readonly name: string;
  readonly shape: readonly number[];
  readonly layout?: Layout;
}

/** The permutation that puts the channels last. */
export const LAST = [0, 2, 3, 1] as const;
/** Its inverse. */
export const FIRST = [0, 3, 1, 2] as const;

/** Where dimension `axis` of the shape lies in memory. */
export function axisInMemory({ layout }: Pick<Placed, 'layout'>, axis: number): number {
  return layout === undefined ? axis : LAST.indexOf(axis as 0 | 1 | 2 | 3);
}

/**
 * Whether values that are combined element by element must first be put into one layout.
 * @throws `internal` for a value that cannot meet a feature map with its channels last, such as [C, 1, 1]
 */
export function needsChannelsLast(values: readonly Placed[]): boolean {
  if (values.every(({ layout }) => layout === undefined)) return false;
  const wrong = values.find(({ shape }) => shape.length !== 4 && shape.some((size) => size !== 1));
  if (wrong === undefined) return true;
  throw new Text2ImgError(
    'internal',
    `the value ${wrong.name} of a graph meets a feature map with its channels last, but has ${wrong.shape.length} dimensions.`,
  );
}

/** The layout of a result: elementwise operators keep that of their inputs. */
export function inheritedLayout(
  inputs: readonly (Placed | undefined)[],
  wanted: Layout | 'channels-first' | undefined,
): { readonly layout?: Layout } {
  const layout = wanted ?? inputs.find((input) => input?.layout !== undefined)?.layout;
  return layout === 'channels-last' ? { layout } : {};
}
