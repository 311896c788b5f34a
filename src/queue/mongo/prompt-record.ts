/** A prompt document as the driver's types see it. */
import type { Document } from 'mongodb';

/** Any `_id` is legal, so the driver's type for it does not fit. */
export interface PromptRecord extends Document {
  _id: never;
}
