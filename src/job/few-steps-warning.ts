/** Warns where a model that is named like one for few steps gets many, or much guidance, and nobody asked for them. */
import { quote } from '../lib/foreign-text.ts';
import type { ResolvedGenerationRequest } from './generation-request.ts';
import type { ModelFacts } from './model-facts.ts';
import type { FieldName } from './request-fields.ts';

/** Turbo, Lightning, Hyper-SD, LCM, DMD2 and PCM are ways to distil a model to a few steps. */
const FEW_STEPS = /turbo|lightning|hyper|lcm|dmd|pcm/i;
const MOST_STEPS = 12;
const MOST_GUIDANCE = 2.5;
const QUOTED_LENGTH = 80;

export interface FewStepsFacts {
  readonly model: Pick<ModelFacts, 'modelName' | 'defaults'>;
  /** The fields that the document, the command or the operator gave a value. */
  readonly asked: ReadonlySet<string>;
}

/** @returns undefined where there is nothing to warn of */
export function fewStepsWarning(
  { numInferenceSteps, guidanceScale }: Pick<ResolvedGenerationRequest, 'numInferenceSteps' | 'guidanceScale'>,
  { model, asked }: FewStepsFacts,
): string | undefined {
  // A family for few steps says how many it wants.
  if (!FEW_STEPS.test(model.modelName) || model.defaults['numInferenceSteps'] !== undefined) return undefined;
  const isAsked = (...names: readonly FieldName[]): boolean => names.some((name) => asked.has(name));
  const isLong = numInferenceSteps > MOST_STEPS && !isAsked('numInferenceSteps', 'timesteps', 'sigmas');
  const isStrong = guidanceScale > MOST_GUIDANCE && !isAsked('guidanceScale');
  if (!isLong && !isStrong) return undefined;
  return (
    `The model ${quote(model.modelName, QUOTED_LENGTH)} is perhaps made for few steps, and used ${numInferenceSteps} steps with guidance ${guidanceScale}. ` +
    'Such models often need 1 to 8 for "num_inference_steps" and 0 to 2 for "guidance_scale"; a single file of XL also "sgm_uniform" for "schedule_type".'
  );
}
