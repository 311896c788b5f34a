/** Decides every value of a request: the document's, else the operator's default, else the model's, as diffusers would. */
import { createHash } from 'node:crypto';
import type { ModelFacts } from './model-facts.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from './generation-request.ts';
import { NO_LIMITS, type PromptLimits } from './limits.ts';
import type { Defaults, FieldTable, FieldValue, Resolved, Stated } from './request-field.ts';
import { REQUEST_FIELDS } from './request-fields.ts';
import { checkRules } from './request-rules.ts';

interface ResolveOptions<Table> {
  readonly defaults: Defaults<Table>;
  readonly model: ModelFacts;
  readonly limits: PromptLimits;
  /** For a request without one. */
  readonly seed: number;
}

type Values = Readonly<Record<string, FieldValue | null | undefined>>;

/**
 * For the fields of `table`.
 * @returns a function that throws `invalid_parameter` when defaults and request together are too much, `unsupported_config` when the model's
 * own size is
 */
export function requestResolver<Table extends FieldTable>(table: Table) {
  const fields = Object.entries<FieldTable[string]>(table);
  return (request: Stated<Table>, { defaults, model, limits, seed }: ResolveOptions<Table>): Resolved<Table> => {
    const [stated, byOperator]: readonly [Values, Values] = [request, defaults];
    const isSized = ['widthPx', 'heightPx'].some(
      (side) => stated[side] !== undefined || byOperator[side] !== undefined,
    );
    if (!isSized) checkModelsSize(model, limits);
    const resolved = Object.fromEntries(
      fields.map(([name, { default: fallback }]) => {
        const computed = typeof fallback === 'function' ? fallback({ model, seed }) : fallback;
        return [name, stated[name] ?? byOperator[name] ?? computed];
      }),
    );
    checkRules(resolved, limits);
    // Each value is of its field's type: stated, the operator's, or the field's default.
    return resolved as unknown as Resolved<Table>;
  };
}

export const resolveRequest = requestResolver(REQUEST_FIELDS);

/** The ranges of the table and the rules, without an operator's limits. @throws `invalid_parameter`, `unknown_scheduler` */
export function checkResolved(request: ResolvedGenerationRequest): void {
  const values: Values = request;
  for (const [name, { wire, type, default: fallback }] of Object.entries<FieldTable[string]>(REQUEST_FIELDS)) {
    const value = values[name] ?? undefined;
    if (value === undefined && fallback === null) continue;
    if (type(NO_LIMITS).parse(value) === undefined) throw type(NO_LIMITS).refuse(wire, value);
  }
  checkRules(request, NO_LIMITS);
}

/** Nobody asked for a size, so that it is not the request which is at fault. @throws `unsupported_config` */
function checkModelsSize(
  { defaultWidthPx: width, defaultHeightPx: height }: ModelFacts,
  { maxPixels }: PromptLimits,
): void {
  if (width * height <= maxPixels) return;
  throw new Text2ImgError(
    'unsupported_config',
    `the model’s own size is ${width}×${height} pixels ("sample_size" in its unet/config.json), which is more than the ${maxPixels} allowed; ` +
      'ask for a width and a height, or raise --max-pixels.',
  );
}

/** The seed of a run whose document states none: every attempt of the run draws the same picture. Below 2^32. */
export function seedOfRun(runId: string): number {
  return createHash('sha256').update(runId).digest().readUInt32BE(0);
}
