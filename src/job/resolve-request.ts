/** Decides every value of a request: the document's, else the operator's default, else the model's, as diffusers would. */
import { createHash } from 'node:crypto';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import { countByHand, refuseUnusable, withoutDisplaced, withoutUnusable } from './alternatives.ts';
import type { ResolvedGenerationRequest } from './generation-request.ts';
import { NO_LIMITS, type PromptLimits } from './limits.ts';
import type { ModelFacts } from './model-facts.ts';
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
 * @returns a function. It throws `invalid_parameter` when defaults and request together are too much, or when the model does not read what the
 * request states. It throws `unsupported_config` when the model's own size is too much
 */
export function requestResolver<Table extends FieldTable>(table: Table) {
  const fields = Object.entries<FieldTable[string]>(table);
  return (request: Stated<Table>, { defaults, model, limits, seed }: ResolveOptions<Table>): Resolved<Table> => {
    const stated: Values = request;
    refuseUnread(fields, stated, model);
    const scheduler = stated['scheduler'] ?? own<unknown>(defaults, 'scheduler') ?? model.defaults['scheduler'];
    if (typeof scheduler === 'string') refuseUnusable(scheduler, stated);
    // The operator's defaults are for every model and every scheduler that a document may ask for.
    const usable = (values: object): Values => {
      const read = Object.fromEntries(Object.entries(values).filter(([name]) => model.fields.includes(name)));
      return typeof scheduler === 'string' ? withoutUnusable(scheduler, read) : read;
    };
    const byOperator = withoutDisplaced(usable(defaults), stated);
    const isSized = ['widthPx', 'heightPx'].some(
      (side) => stated[side] !== undefined || byOperator[side] !== undefined,
    );
    if (!isSized) checkModelsSize(model, limits);
    const byModel = withoutDisplaced(usable(model.defaults), { ...byOperator, ...stated });
    const resolved = Object.fromEntries(
      fields.map(([name, { default: fallback }]) => {
        const computed = typeof fallback === 'function' ? fallback({ model, seed }) : fallback;
        return [name, stated[name] ?? byOperator[name] ?? own(byModel, name) ?? computed];
      }),
    );
    const steps = countByHand(resolved);
    if (steps !== undefined) resolved['numInferenceSteps'] = steps;
    checkRules(resolved, limits);
    // Each value is of its field's type: stated, the operator's, or the field's default.
    return resolved as unknown as Resolved<Table>;
  };
}

/** Of a value in a sentence. */
const QUOTED_LENGTH = 80;

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

/** Nobody should get an image that lacks what they asked for. @throws `invalid_parameter` */
function refuseUnread(
  fields: readonly (readonly [string, FieldTable[string]])[],
  stated: Values,
  model: ModelFacts,
): void {
  for (const [name, { wire }] of fields) {
    const value = stated[name] ?? undefined;
    if (value === undefined || model.fields.includes(name)) continue;
    throw new Text2ImgError(
      'invalid_parameter',
      `"${wire}" is ${quote(value, QUOTED_LENGTH)}; the model ${quote(model.modelName, QUOTED_LENGTH)} does not read "${wire}", so leave it out.`,
    );
  }
}

/** Nobody asked for a size, so that it is not the request which is at fault. @throws `unsupported_config` */
function checkModelsSize(
  { defaultWidthPx: width, defaultHeightPx: height }: ModelFacts,
  { maxPixels }: PromptLimits,
): void {
  if (width * height <= maxPixels) return;
  throw new Text2ImgError(
    'unsupported_config',
    `the model’s own size is ${width}×${height} pixels, which is more than the ${maxPixels} allowed; ` +
      'ask for a width and a height, or raise --max-pixels.',
  );
}

/** The seed of a run whose document states none: every attempt of the run generates the same image. Below 2^32. */
export function seedOfRun(runId: string): number {
  return createHash('sha256').update(runId).digest().readUInt32BE(0);
}
