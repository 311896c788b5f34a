/** Reads the body of a new prompt, or of several: documents with the names of docs/requests.md. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { unreadFields, unreadFieldsWarning } from '../../job/foreign-fields.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';
import { isRecord, own } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { RawPromptDocument } from '../../queue/prompt-queue.ts';
import type { NewPrompt } from '../front/front.ts';
import type { ModelDirectory } from '../front/model-directory.ts';
import { REFUSED_FIELDS } from '../openapi/prompt-schema.ts';

/** Names the model. It becomes `job.model`, so the document does not keep it. */
export const MODEL_FIELD = 'model';

export interface NewPrompts {
  readonly prompts: readonly NewPrompt[];
  /** For each prompt, in order. */
  readonly warnings: readonly (readonly string[])[];
  /** The body was a list, so the answer is one. */
  readonly isList: boolean;
}

/**
 * @param body as JSON has it: one document or a list of them
 * @throws `invalid_document`, `invalid_prompt`, `invalid_parameter`, `model_not_found`. Ranges are checked behind this.
 */
export function readNewPrompts(
  body: unknown,
  { models, maxPrompts }: { readonly models: ModelDirectory; readonly maxPrompts: number },
): NewPrompts {
  const isList = Array.isArray(body);
  const documents: readonly unknown[] = isList ? body : [body];
  if (documents.length === 0 || documents.length > maxPrompts)
    throw new Text2ImgError(
      'invalid_document',
      `The list has ${documents.length} prompts; allowed are 1 to ${maxPrompts}.`,
    );
  const read = documents.map((document, index) => {
    if (!isList) return readOne(document, models);
    try {
      return readOne(document, models);
    } catch (error) {
      const { code, message } = Text2ImgError.from(error);
      throw new Text2ImgError(code, `Prompt ${index + 1} of ${documents.length}: ${message}`, { cause: error });
    }
  });
  return { prompts: read, warnings: read.map(({ document }) => warningsOf(document)), isList };
}

function readOne(value: unknown, models: ModelDirectory): NewPrompt {
  if (!isRecord(value))
    throw new Text2ImgError('invalid_document', `The prompt is ${quote(value)}; a JSON object is needed.`);
  const refused = REFUSED_FIELDS.find((name) => Object.hasOwn(value, name));
  if (refused !== undefined)
    throw new Text2ImgError(
      'invalid_document',
      `The field ${quote(refused)} is the service's own; leave it out. Refused are ${REFUSED_FIELDS.map((name) => quote(name)).join(', ')}.`,
    );
  checkText(value);
  const { [MODEL_FIELD]: asked, ...document } = value;
  if (asked !== undefined && asked !== null && typeof asked !== 'string')
    throw new Text2ImgError('invalid_parameter', `"${MODEL_FIELD}" is ${quote(asked)}; allowed is a model's name.`);
  return { document, model: models.resolve(asked).id };
}

/** A prompt without its text has often another tool's name for it. */
function checkText(document: RawPromptDocument): void {
  const { wire } = REQUEST_FIELDS.prompt;
  if (own(document, wire) !== undefined) return;
  const slip = unreadFields(Object.keys(document)).find(({ meant }) => meant === wire);
  if (slip !== undefined)
    throw new Text2ImgError(
      'invalid_prompt',
      `"${wire}" is missing. Nobody reads the field ${quote(slip.name)}: did you mean ${quote(wire)}?`,
    );
}

function warningsOf(document: RawPromptDocument): readonly string[] {
  const warning = unreadFieldsWarning(Object.keys(document));
  return warning === undefined ? [] : [warning];
}
