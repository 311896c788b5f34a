/** The request for one prompt: the codec's result, the engine's input. The types follow from the table of fields. */
import type { Defaults, Resolved, Stated } from './request-field.ts';
import type { REQUEST_FIELDS } from './request-fields.ts';

/** A request as far as the user stated it; what is absent takes the operator's default, then the model's. */
export type GenerationRequest = Stated<typeof REQUEST_FIELDS>;

/** A request with every value decided; the same resolved request gives the same pixels. */
export type ResolvedGenerationRequest = Resolved<typeof REQUEST_FIELDS>;

/** The operator's defaults for documents that omit a value. */
export type GenerationDefaults = Defaults<typeof REQUEST_FIELDS>;
