/** The answers of the tools: content for the model, and the same facts as structured content for programs. */
import type { CallToolResult, ContentBlock } from '@modelcontextprotocol/server';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { JobSummary } from '../../queue/prompt-queue.ts';
import type { Estimate, StoredImage } from '../front/front.ts';

/** Base64 of the images of one answer. The SDK's own clients read at most 10 MiB in one message over stdio. */
const MOST_IMAGE_CHARACTERS = 7 * 1024 * 1024;

export interface ShownImages {
  readonly images: readonly StoredImage[];
  /** Undefined: a client has no URL for it. */
  readonly urlOf: (image: StoredImage) => string | undefined;
  readonly includesImages: boolean;
}

/** A job that is completed, with its images as far as they fit. @throws what reading an image throws */
export async function completedResult(job: JobSummary, shown: ShownImages): Promise<CallToolResult> {
  const pictures: ContentBlock[] = [];
  const facts: object[] = [];
  const lines = [`Prompt ${job.id} is completed.`];
  let characters = 0;
  for (const image of shown.images) {
    const url = shown.urlOf(image);
    const data = shown.includesImages ? await base64Of(image, MOST_IMAGE_CHARACTERS - characters) : undefined;
    characters += data?.length ?? 0;
    if (data !== undefined) pictures.push({ type: 'image', data, mimeType: 'image/png' });
    facts.push({ index: image.index, seed: image.seed, ...omitUndefined({ url }), included: data !== undefined });
    const missing = shown.includesImages && data === undefined ? ' (too large for this answer)' : '';
    lines.push(`Image ${image.index}: seed ${image.seed}${url === undefined ? '' : `, ${url}`}${missing}`);
  }
  for (const warning of job.warnings ?? []) lines.push(`Warning: ${warning}`);
  const { id, status, model, parameters, warnings } = job;
  return {
    content: [...pictures, textBlock(lines)],
    structuredContent: { id, status, ...omitUndefined({ model, parameters, warnings }), images: facts },
  };
}

/** A job that has not ended yet. */
export function openResult(job: JobSummary, estimate: Estimate | undefined): CallToolResult {
  const { id, status, progress, model } = job;
  const position = estimate === undefined ? undefined : `${estimate.isCapped ? 'more than ' : ''}${estimate.position}`;
  const seconds = estimate?.waitMs === undefined ? undefined : Math.ceil(estimate.waitMs / 1000);
  const lines = [
    `Prompt ${id} is ${status}.`,
    ...(progress === undefined ? [] : [`Step ${progress.step} of ${progress.steps}.`]),
    ...(position === undefined ? [] : [`Jobs before it: ${position}.`]),
    ...(seconds === undefined ? [] : [`It begins in about ${seconds} s.`]),
    'Call get_prompt with this id and wait_seconds to get the images.',
  ];
  return {
    content: [textBlock(lines)],
    structuredContent: {
      id,
      status,
      ...omitUndefined({ model, progress, position: estimate?.position, wait_seconds: seconds }),
    },
  };
}

/** A job that ended without images, as something that was looked up. */
export function failedResult({ id, status, error }: JobSummary): CallToolResult {
  const sentence = error ?? 'without an error';
  return {
    content: [textBlock([`Prompt ${id} has ended as ${status}.`, sentence])],
    structuredContent: { id, status, error: sentence },
  };
}

/** The client asked for something that could not be done: the model reads the sentence and may call again. */
export function errorResult(raw: unknown, id?: string): CallToolResult {
  const { code, message } = Text2ImgError.from(raw);
  const about = id === undefined ? [] : [`Prompt ${id} has no images.`];
  return {
    isError: true,
    content: [textBlock([`${code}: ${message}`, ...about])],
    structuredContent: { code, message, ...omitUndefined({ id }) },
  };
}

export function textResult(lines: readonly string[], structuredContent: Record<string, unknown>): CallToolResult {
  return { content: [textBlock(lines)], structuredContent };
}

function textBlock(lines: readonly string[]): ContentBlock {
  return { type: 'text', text: lines.join('\n') };
}

/** @returns undefined where it is longer than `most`; then it is not read */
async function base64Of(image: StoredImage, most: number): Promise<string | undefined> {
  await using opened = await image.open();
  if (4 * Math.ceil(opened.sizeBytes / 3) > most) return undefined;
  const pieces: Uint8Array[] = [];
  for await (const piece of opened.pieces()) pieces.push(piece);
  return Buffer.concat(pieces).toString('base64');
}
