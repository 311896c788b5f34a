/** The prediction that a single file was trained for. Two empty tensors or the operator may say it; else the layout does. */
import type { CheckpointChoices, PredictionType } from '../checkpoint-choices.ts';
import type { FileTensors } from './file-tensors.ts';

/** Keys of a scheduler's configuration. */
export interface TrainedAs {
  readonly prediction_type: PredictionType;
  readonly rescale_betas_zero_snr?: true;
}

/** @param usual the prediction of the layout's checkpoints */
export function trainedAs(
  tensors: FileTensors,
  { predictionType }: CheckpointChoices,
  usual: PredictionType,
): TrainedAs {
  return {
    prediction_type: predictionType ?? (tensors.has('v_pred') ? 'v_prediction' : usual),
    ...(tensors.has('ztsnr') ? { rescale_betas_zero_snr: true } : {}),
  };
}
