/** The operator's word on what a checkpoint may leave open or say wrongly. */

/** The value that the denoising network predicts. */
export type PredictionType = 'epsilon' | 'v_prediction' | 'sample';

export interface CheckpointChoices {
  /** Absent: as the checkpoint says. */
  readonly predictionType?: PredictionType;
  /** Folder or file of the autoencoder to use. Absent: the checkpoint's own. */
  readonly vae?: string;
}
