/**
 * `text2img enqueue`: adds one prompt with its options, or a prompt per JSON line. All or nothing: one bad line and none is added.
 */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import type { Config } from '../config/schema.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { promptIdText } from '../job/document-id.ts';
import { parsePromptDocument } from '../job/prompt-document.ts';
import type { RawPromptDocument } from '../queue/prompt-queue.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';
import { limitsOf } from './limits.ts';
import { openQueue } from './open-queue.ts';

/** More than any sensible set of prompts, less than what would exhaust the memory. */
const MAX_INPUT_BYTES = 256 * 1024 * 1024;

export async function enqueue(context: CommandContext, file: string | undefined): Promise<ExitCode> {
  const { config, logger } = context;
  const documents = file === undefined ? [onePrompt(config)] : await readDocuments(file, config);
  await using queue = openQueue(context);
  const ids = (await queue.enqueue(documents)).map(promptIdText);
  logger.info('prompts added', { count: ids.length, queue: queue.description });
  for (const id of ids) printResult(context, { json: { id, status: 'pending' }, text: id });
  return 0;
}

function onePrompt(config: Config): RawPromptDocument {
  if (config.prompt === undefined) {
    throw new Text2ImgError(
      'conflicting_options',
      'There is nothing to add: give --prompt, or a file of JSON lines, or - for standard input.',
    );
  }
  const document = { text: config.prompt, ...optionsAsFields(config) };
  parsePromptDocument(document, limitsOf(config));
  return document;
}

/** The options in the wire's names; for a file they are the defaults of its lines. */
function optionsAsFields(config: Config): RawPromptDocument {
  const fields = {
    negative_prompt: config.negativePrompt,
    seed: config.seed,
    num_inference_steps: config.numInferenceSteps,
    guidance_scale: config.guidanceScale,
    width: config.width,
    height: config.height,
    num_images: config.numImages,
    scheduler: config.scheduler,
    priority: config.priority,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

async function readDocuments(file: string, config: Config): Promise<RawPromptDocument[]> {
  if (config.prompt !== undefined)
    throw new Text2ImgError('conflicting_options', 'Give either --prompt or a file, not both.');
  const name = file === '-' ? 'standard input' : file;
  const text = await readText(file === '-' ? process.stdin : createReadStream(file), name);
  const defaults = optionsAsFields(config);
  const documents: RawPromptDocument[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const where = `Line ${index + 1} of ${name}`;
    const document = { ...defaults, ...parseLine(line, where) };
    try {
      parsePromptDocument(document, limitsOf(config));
    } catch (error) {
      const { code, message } = Text2ImgError.from(error);
      throw new Text2ImgError(code, `${where}: ${message} Nothing was added.`, { cause: error });
    }
    documents.push(document);
  }
  return documents;
}

function parseLine(line: string, where: string): RawPromptDocument {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new Text2ImgError(
      'invalid_document',
      `${where} is not JSON: ${(error as Error).message}. Nothing was added.`,
      { cause: error },
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as RawPromptDocument;
  throw new Text2ImgError(
    'invalid_document',
    `${where} is not a JSON object like {"text": "a fox"}. Nothing was added.`,
  );
}

async function readText(stream: Readable, name: string): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_INPUT_BYTES) throw new Error(`it has more than ${MAX_INPUT_BYTES} bytes`);
      chunks.push(chunk);
    }
    // A byte order mark is stripped; bytes that are not UTF-8 are an error, not replacement characters in somebody's prompt.
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new Text2ImgError('not_found', `The file ${JSON.stringify(name)} does not exist.`, { cause: error });
    throw new Text2ImgError('unreadable_file', `${JSON.stringify(name)} cannot be read: ${message}.`, { cause: error });
  }
}
