/**
 * `text2img enqueue`: adds one prompt with its options, or a prompt per JSON line. All or nothing: one bad line and none is added.
 */
import type { Config } from '../config/options.ts';
import { requestValues } from '../config/options/request-options.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { promptIdText } from '../job/document-id.ts';
import { parsePromptDocument, toDocument } from '../job/prompt-document.ts';
import { DOCUMENT_FIELDS, REQUEST_FIELDS } from '../job/request-fields.ts';
import type { RawPromptDocument } from '../queue/prompt-queue.ts';
import { type ExitCode, printResult, type QueueContext } from './command-context.ts';
import { limitsOf } from './request-settings.ts';
import { openQueue } from '../app/open-queue.ts';
import { queueSettings } from '../app/settings.ts';
import { nameOfInput, readJsonLines } from './read-lines.ts';

export async function enqueue(context: QueueContext, file: string | undefined): Promise<ExitCode> {
  const { config, logger } = context;
  const given =
    file === undefined ? [{ name: 'The prompt', document: onePrompt(config) }] : await readDocuments(file, config);
  await using queue = await openQueue(queueSettings(config, context.mode), context);
  const added = await queue.enqueue(
    given.map(({ document }) => document),
    { nameOf: (index) => given[index]?.name ?? '' },
  );
  const ids = added.map(promptIdText);
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
  const document = optionsAsFields(config);
  parsePromptDocument(document, limitsOf(config));
  return document;
}

/** The options in the wire's names; for a file they are the defaults of its lines. */
function optionsAsFields(config: Config): RawPromptDocument {
  const table = { ...REQUEST_FIELDS, ...DOCUMENT_FIELDS };
  return toDocument(table, requestValues(table, config));
}

interface NamedDocument {
  /** How it is called in an error. */
  readonly name: string;
  readonly document: RawPromptDocument;
}

async function readDocuments(file: string, config: Config): Promise<readonly NamedDocument[]> {
  if (config.prompt !== undefined)
    throw new Text2ImgError('conflicting_options', 'Give either --prompt or a file, not both.');
  const defaults = optionsAsFields(config);
  const input = nameOfInput(file);
  return (await readJsonLines(file)).map(({ number, value }) => {
    const name = `Line ${number} of ${input}`;
    const document = { ...defaults, ...value };
    try {
      parsePromptDocument(document, limitsOf(config));
    } catch (error) {
      const { code, message } = Text2ImgError.from(error);
      throw new Text2ImgError(code, `${name}: ${message} Nothing was added.`, { cause: error });
    }
    return { name, document };
  });
}
