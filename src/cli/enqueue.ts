/**
 * `text2img enqueue`: adds one prompt with its options, or a file of prompts. All or nothing: one bad line and none is added.
 */

import { openQueue } from '../app/open-queue.ts';
import { queueSettings } from '../app/settings.ts';
import { type Config, OPTIONS } from '../config/options.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { promptIdText } from '../job/document-id.ts';
import { unreadFields } from '../job/foreign-fields.ts';
import { parsePromptDocument, toDocument, withDefaultFields } from '../job/prompt-document.ts';
import { DOCUMENT_FIELDS, REQUEST_FIELDS } from '../job/request-fields.ts';
import { isRecord, own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import type { Logger } from '../observability/logger.ts';
import type { PromptQueue, RawPromptDocument } from '../queue/prompt-queue.ts';
import { type ExitCode, printResult, type QueueContext } from './command-context.ts';
import { nameOfInput, readPrompts } from './read-lines.ts';
import { limitsOf, statedValues } from './request-settings.ts';

/** Of models. */
const MOST_WARNED = 10;

export async function enqueue(context: QueueContext, file: string | undefined): Promise<ExitCode> {
  const { config, logger } = context;
  const given: readonly NamedDocument[] =
    file === undefined
      ? [{ name: 'The prompt', document: onePrompt(config), model: config.jobModel }]
      : await readDocuments(file, context);
  await using queue = await openQueue(queueSettings(config, context.mode), context);
  const added = await queue.enqueue(
    given.map(({ document }) => document),
    { nameOf: (index) => given[index]?.name ?? '', modelOf: (index) => given[index]?.model },
  );
  await warnOfUnknownModels(queue, { given, logger });
  const ids = added.map(promptIdText);
  if (ids.length === 0)
    logger.warning('nothing was added: there is no prompt in the input', { input: nameOfInput(file ?? '') });
  else logger.info('prompts added', { count: ids.length, queue: queue.description });
  for (const id of ids) printResult(context, { json: { id, status: 'pending' }, text: id });
  return 0;
}

function onePrompt(config: Config): RawPromptDocument {
  if (config.prompt === undefined) {
    throw new Text2ImgError(
      'conflicting_options',
      'There is nothing to add. Give a file of prompts, - for standard input, or one prompt: text2img enqueue --prompt "a red circle".',
    );
  }
  const document = optionsAsFields(config);
  parsePromptDocument(document, limitsOf(config));
  return document;
}

/** The options in the wire's names; for a file they are the defaults of its lines. */
function optionsAsFields(config: Config): RawPromptDocument {
  const table = { ...REQUEST_FIELDS, ...DOCUMENT_FIELDS };
  return toDocument(table, statedValues(table, config));
}

interface NamedDocument {
  /** How it is called in an error. */
  readonly name: string;
  readonly document: RawPromptDocument;
  /** Goes into `job.model`; undefined: the default model of the worker that takes it. */
  readonly model: string | undefined;
}

async function readDocuments(file: string, { config, logger }: QueueContext): Promise<readonly NamedDocument[]> {
  if (config.prompt !== undefined)
    throw new Text2ImgError('conflicting_options', 'Give either --prompt or a file, not both.');
  const defaults = optionsAsFields(config);
  const input = nameOfInput(file);
  const { noun, entries } = await readPrompts(file);
  const foreign = new ForeignFields();
  const documents = entries.map(({ number, value }) => {
    const name = `${noun} ${number} of ${input}`;
    const document = withDefaultFields(value, defaults);
    try {
      // Of what the line says: a default beside a misspelled field does not make it the user's own.
      foreign.add(value, config);
      parsePromptDocument(document, limitsOf(config));
      return { name, document, model: modelIn(value) ?? config.jobModel };
    } catch (error) {
      const { code, message } = Text2ImgError.from(error);
      throw new Text2ImgError(code, `${name}: ${message} Nothing was added.`, { cause: error });
    }
  });
  foreign.warn(logger);
  return documents;
}

/** As a document in the queue has it: `job.model`. The rest of `job` is the queue's. @throws `invalid_document` */
function modelIn({ job }: RawPromptDocument): string | undefined {
  const model = isRecord(job) ? own(job, 'model') : undefined;
  if (model === undefined || model === null) return undefined;
  const name = typeof model === 'string' ? OPTIONS.jobModel.type.parseText(model) : undefined;
  if (name !== undefined) return name;
  throw new Text2ImgError(
    'invalid_document',
    `"job.model" is ${quote(model)}; it must be ${OPTIONS.jobModel.allowed}.`,
  );
}

/** A misspelled name would wait for good. There is no warning where no worker has reported its models. */
async function warnOfUnknownModels(
  { sideData }: PromptQueue,
  { given, logger }: { readonly given: readonly NamedDocument[]; readonly logger: Logger },
): Promise<void> {
  const asked = new Set(given.flatMap(({ model }) => model ?? []));
  if (asked.size === 0) return;
  // The prompts are added; what only helps must not fail now.
  const known = await sideData.workers.modelsOfDay().catch((): readonly string[] => []);
  if (known.length === 0) return;
  for (const model of [...asked].filter((one) => !known.includes(one)).slice(0, MOST_WARNED))
    logger.warning('no worker of the last 24 hours had this model; the jobs wait for one', {
      model,
      known: known.slice(0, MOST_WARNED).join(', '),
    });
}

/** Fields that other tools read, in all documents together. Their names are those of a list, so there is no end of documents but one of names. */
class ForeignFields {
  readonly #meant = new Map<string, string>();
  #documents = 0;

  /** @throws `invalid_document` for a field that was surely meant to be one of ours */
  add(document: RawPromptDocument, { allowUnknownFields }: Config): void {
    const unread = unreadFields(Object.keys(document));
    const slip = unread.find(({ kind }) => kind === 'slip');
    if (slip !== undefined && !allowUnknownFields)
      throw new Text2ImgError(
        // A document without its text has an invalid prompt, also if the field's name is only misspelled.
        slip.meant === REQUEST_FIELDS.prompt.wire ? 'invalid_prompt' : 'invalid_document',
        `Nobody reads the field ${quote(slip.name)}. Did you mean ${quote(slip.meant)}? --allow-unknown-fields keeps it as it is.`,
      );
    const foreign = unread.filter(({ kind }) => kind === 'foreign');
    for (const { name, meant } of foreign) this.#meant.set(name, meant);
    if (foreign.length > 0) this.#documents++;
  }

  warn(logger: Logger): void {
    if (this.#documents === 0) return;
    const fields = [...this.#meant].map(([name, meant]) => `${quote(name)} (perhaps ${quote(meant)})`);
    logger.warning('fields of other tools are not read', { documents: this.#documents, fields: fields.join(', ') });
  }
}
