/** The text of docs/requests.md, from the table of request fields. */
import { flagNamed, type OptionSpec, variableOf } from '../src/config/options/option-spec.ts';
import { defaultTextOf, optionNameOf, requestOptions } from '../src/config/options/request-options.ts';
import { JOINED_PLACES } from '../src/image/parameters-text.ts';
import { DEFAULT_LIMITS, NO_LIMITS, type PromptLimits } from '../src/job/limits.ts';
import type { FieldTable } from '../src/job/request-field.ts';
import { DOCUMENT_FIELDS, REQUEST_FIELDS } from '../src/job/request-fields.ts';
import { REQUEST_RULES } from '../src/job/request-rules.ts';

type Field = FieldTable[string];

/** @param table the request fields, so that a test can add one */
export function requestPage(table: FieldTable = REQUEST_FIELDS): string {
  const perJob = Object.values<Field>({ ...table, ...DOCUMENT_FIELDS }).filter(({ perJob }) => perJob === true);
  return `# Request fields

This page is written by \`npx node scripts/write-request-page.ts\` from \`src/job/request-fields.ts\`.

A prompt document has these fields. Only \`text\` is required. A field that is \`null\` counts as absent, and so does \`seed: -1\`.
The service ignores all other fields: they are yours. It warns of names that look like a misspelled field (\`num_inference_step\`) or like another
tool’s field (\`sampler_name\`). \`text2img enqueue\` refuses a misspelled name unless you pass \`--allow-unknown-fields\`, and warns of another tool’s.
A finished job lists such names in \`job.warnings\`, in one entry. It also has one entry for prompt syntax that has no effect here:
\`(word:1.2)\`, \`<lora:name:0.8>\`, \`{a|b}\`, \`[a:b:0.5]\`, \`__name__\`.

\`text2img generate\` and \`text2img enqueue\` take the flags. \`text2img run\` takes them too, as defaults for documents that leave a field out,
except for ${list(perJob.flatMap(flagsOf))}. A flag beats its environment variable.
The last column says where a PNG keeps the value, in its \`parameters\` text. \`text2img generate --from x.png\` reads it there.

A value out of its range ends the document with \`invalid_parameter\`, \`invalid_prompt\`, \`prompt_too_large\` or \`unknown_scheduler\`
([error codes](errors.md)). So does a field that the model does not read. \`run\` ignores a default that the model does not read.

| field | meaning | allowed | default | flag | environment variable | in the PNG |
|---|---|---|---|---|---|---|
${rowsOf(table)}

These rules join fields:

${REQUEST_RULES.map(({ meaning }) => `- ${meaning}`).join('\n')}

The model never sees these fields of a document. Of the commands only \`enqueue\` has their flags.

| field | meaning | allowed | default | flag | environment variable | in the PNG |
|---|---|---|---|---|---|---|
${rowsOf(DOCUMENT_FIELDS)}
`;
}

function rowsOf(table: FieldTable): string {
  return Object.entries(table)
    .map(([name, field]) => `| ${cellsOf(name, field).join(' | ')} |`)
    .join('\n');
}

function cellsOf(name: string, field: Field): readonly string[] {
  const option = optionNameOf(field);
  const specs: Readonly<Record<string, OptionSpec>> = requestOptions({ [name]: field }, []);
  const spec = specs[option ?? ''];
  return [
    `\`${field.wire}\``,
    `${field.help}.`,
    allowedOf(field),
    defaultTextOf(field) ?? 'required',
    option === undefined ? '–' : `\`${flagNamed(option)}\``,
    option === undefined || spec === undefined ? '–' : `\`${variableOf(option, spec)}\``,
    field.png === undefined ? (joinedPlaceOf(name) ?? '–') : `\`${field.png}\``,
  ];
}

/** With the operator's option that sets the bound: the one that changes the range. */
function allowedOf({ type }: Field): string {
  const names = Object.keys(DEFAULT_LIMITS) as (keyof PromptLimits)[];
  const limit = names.find(
    (name) => type({ ...NO_LIMITS, [name]: DEFAULT_LIMITS[name] }).allowed !== type(NO_LIMITS).allowed,
  );
  const { allowed } = type(DEFAULT_LIMITS);
  return limit === undefined ? allowed : `${allowed} (\`${flagNamed(limit)}\` sets the bound)`;
}

function joinedPlaceOf(name: string): string | undefined {
  return Object.entries(JOINED_PLACES).find(([joined]) => joined === name)?.[1];
}

function flagsOf(field: Field): readonly string[] {
  const option = optionNameOf(field);
  return option === undefined ? [] : [`\`${flagNamed(option)}\``];
}

function list(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
}
