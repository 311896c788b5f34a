/** The arguments of the tools, as a client sent them: checked by name and kind. The request's own fields are checked where documents are. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { refusal } from '../../job/field-types.ts';
import { own } from '../../lib/foreign-record.ts';
import { quote } from '../../lib/foreign-text.ts';
import { didYouMean } from '../../lib/nearest-name.ts';
import type { RawPromptDocument } from '../../queue/prompt-queue.ts';
import { ARGUMENT_FIELDS, DEFAULT_WAIT_SECONDS, WAIT_SECONDS } from './tool-schemas.ts';

export type ToolArguments = Readonly<Record<string, unknown>>;

export interface ImageArguments {
  readonly waitMs: number;
  readonly includesImages: boolean;
}

export interface GenerateArguments extends ImageArguments {
  /** In the wire's names. */
  readonly document: RawPromptDocument;
  /** As it was asked for. */
  readonly model: string | undefined;
}

const IMAGE_NAMES = ['wait_seconds', 'include_images'];
const GENERATE_NAMES = [...ARGUMENT_FIELDS.keys(), 'model', ...IMAGE_NAMES];
const MOST_ID_LENGTH = 2048;

/** @throws `invalid_parameter` for an argument that is none, and for those that are about the call */
export function generateArguments(given: ToolArguments): GenerateArguments {
  refuseUnknown(given, GENERATE_NAMES);
  const fields = [...ARGUMENT_FIELDS].filter(([name]) => stated(given, name) !== undefined);
  return {
    document: Object.fromEntries(fields.map(([name, { wire }]) => [wire, own(given, name)])),
    model: textOf(given, 'model'),
    ...imageArguments(given, DEFAULT_WAIT_SECONDS),
  };
}

/** @throws `invalid_parameter` */
export function getArguments(given: ToolArguments): ImageArguments & { readonly id: string } {
  refuseUnknown(given, ['id', ...IMAGE_NAMES]);
  return { id: idOf(given), ...imageArguments(given, 0) };
}

/** @throws `invalid_parameter` */
export function cancelArguments(given: ToolArguments): { readonly id: string } {
  refuseUnknown(given, ['id']);
  return { id: idOf(given) };
}

function imageArguments(given: ToolArguments, waitSeconds: number): ImageArguments {
  const wait = stated(given, 'wait_seconds') ?? waitSeconds;
  const seconds = WAIT_SECONDS.parse(wait);
  if (seconds === undefined) throw WAIT_SECONDS.refuse('wait_seconds', wait);
  const includes = stated(given, 'include_images') ?? true;
  if (typeof includes !== 'boolean') throw refusal('true and false')('include_images', includes);
  return { waitMs: seconds * 1000, includesImages: includes };
}

function idOf(given: ToolArguments): string {
  const id = textOf(given, 'id');
  if (id !== undefined && id !== '' && id.length <= MOST_ID_LENGTH) return id;
  throw refusal('the ids that generate_image returns')('id', id);
}

function textOf(given: ToolArguments, name: string): string | undefined {
  const value = stated(given, name);
  if (value === undefined || typeof value === 'string') return value;
  throw refusal('strings')(name, value);
}

/** null counts as absent, as in documents. */
function stated(given: ToolArguments, name: string): unknown {
  return own(given, name) ?? undefined;
}

/** An agent reads the sentence and calls again. If the argument were ignored, the image would be another one. */
function refuseUnknown(given: ToolArguments, names: readonly string[]): void {
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new Text2ImgError(
    'invalid_parameter',
    `${quote(unknown)} is no argument of this tool.${didYouMean(unknown, names)} Allowed are ${names.join(', ')}.`,
  );
}
