/** The text of docs/checkpoints.md, from the tables of the code: families, network classes, schedulers, refusals. */
import { z } from 'zod';
import type { ComponentSpec } from '../src/checkpoint/component-spec.ts';
import { OTHER_PIPELINES } from '../src/checkpoint/other-pipelines.ts';
import { REFUSED_FILES } from '../src/checkpoint/single-file/other-files.ts';
import { REQUEST_FIELDS, type FieldName } from '../src/job/request-fields.ts';
import type { ConfigRules } from '../src/lib/config-rules.ts';
import { STORED_TYPES } from '../src/onnx/stored-weights.ts';
import type { Family } from '../src/pipelines/family.ts';
import { FAMILIES } from '../src/pipelines/registry.ts';
import { REFUSED_SAMPLERS, REFUSED_SCHEDULES } from '../src/schedulers/refused-names.ts';
import { SCHEDULERS } from '../src/schedulers/registry.ts';
import type { SchedulerClass, SchedulerName } from '../src/schedulers/scheduler.ts';
import { KNOWN_CHECKPOINTS, type KnownCheckpoint } from './known-checkpoints.ts';

export function checkpointPage(): string {
  return `# Checkpoints

This page is written by \`npx node scripts/write-checkpoint-page.ts\` from the tables of the code.

It lists what text2img reads, what it refuses, and why. It refuses a model before it generates anything. The error names the value, and the command
exits with 4 ([error codes](errors.md)). Nothing is approximated: a setting that is not implemented is an error. See [models.md](models.md) for how to
name, download and inspect a model.

## Families

The pipeline class in \`model_index.json\` decides for a folder or a model of the hub. The tensors decide for a single file. A class for
image-to-image or inpainting loads if its components generate from text.

| family | pipeline classes | single files | fields that only some families read |
|---|---|---|---|
${rows(FAMILIES.map(familyCells))}

## Components

| component | classes | families |
|---|---|---|
${rows(componentCells())}

The scheduler is one of [those below](#schedulers). \`CLIPTokenizerFast\` reads the same files. A safety checker is never run.
\`--vae\` replaces the autoencoder ([how](models.md#another-autoencoder)).

## Layouts

| layout | read |
|---|---|
| folder | \`model_index.json\` and a folder for each component, as diffusers saves them. Weights are safetensors: one file, shards or variants. |
| single file | One \`.safetensors\` or \`.sft\` file in the original layout, with text encoders, UNet and autoencoder. |

Weights may be ${list(Object.values(STORED_TYPES).map((type) => code(type)))}. Pickles (\`.ckpt\`, \`.bin\`, \`.pt\`) are refused because reading one can
run code. GGUF files are refused because they are quantised.

## Options of the networks

The keys of a component's \`config.json\`. A key that the class does not have is ignored with a warning. [networks](decisions/networks.md) gives
the reasons for the refused options of the UNet.

${networkClasses()
  .map(({ className, rules }) => `### ${className}\n\n${keysOf(rules)}`)
  .join('\n\n')}

## Schedulers

A name may have a schedule behind it, such as \`euler_karras\` or \`DPM++ 2M Karras\`. Case, blanks and \`_ - +\` do not matter.
[scheduler-parity](decisions/scheduler-parity.md) says how close each is to diffusers.

| class | names | other tools' names | takes | \`schedule_type\` |
|---|---|---|---|---|
${rows(SCHEDULERS.map(schedulerCells))}

\`unipc\`, \`UniPC\` and ComfyUI's \`uni_pc\` mean diffusers' class with its default \`solver_type\`, \`bh2\`. In ComfyUI and web UIs these names
compute \`bh1\`. A checkpoint whose \`scheduler_config.json\` says \`"solver_type": "bh1"\` and \`"final_sigmas_type": "sigma_min"\` gets it here.

These samplers are refused by name:

| sampler | because |
|---|---|
${rows(REFUSED_SAMPLERS.map(([names, reason]) => [list(names.map(code)), `${reason}.`]))}

So are these schedules:

| schedule | because |
|---|---|
${rows(REFUSED_SCHEDULES.map(([names, reason]) => [list(names.map(code)), `${reason}.`]))}

The keys of \`scheduler_config.json\`. A key that the class does not have is ignored with a warning.

| class | reads | only with this value |
|---|---|---|
${rows(SCHEDULERS.map(schedulerKeys))}

## Refused pipelines

A pipeline class outside the table of [families](#families) is refused. The error names these kinds:

${OTHER_PIPELINES.map(([, what]) => `- ${what}`).join('\n')}

A UNet with other channels than its autoencoder has latents is refused, because it needs an image. So is the refiner of XL.

## Refused files

A safetensors file of another kind is named as what it is:

| file | because, or what to do |
|---|---|
${rows(refusedFileCells())}

## Checkpoints that people name

No weights of these models were loaded here. The tests have what is known of them:

- **configuration**: a tiny checkpoint with random weights that is built like the model. diffusers generated the same images.
- **scheduler**: the model’s own scheduler, with the tiny networks of its family. diffusers generated the same images.
- **tensor list**: every tensor of the model by name and shape, in full size, without weights. All graphs find their tensors.
- **not seen**: nothing of the model itself is in the tests.

A model that is trained from another one has its networks. So the rows of Stable Diffusion 1.5 and XL count for most models with \`scheduler\` too.

| model | family | seen as | in \`test/\` | facts from |
|---|---|---|---|---|
${rows(KNOWN_CHECKPOINTS.map(knownCells))}
`;
}

function rows(cells: readonly (readonly string[])[]): string {
  return cells.map((row) => `| ${row.join(' | ')} |`).join('\n');
}

const code = (text: string): string => `\`${text}\``;

function list(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
}

const codes = (words: readonly string[]): string => (words.length === 0 ? '–' : words.map(code).join(', '));

function familyCells(family: Family): readonly string[] {
  const isOfAll = (name: FieldName): boolean => FAMILIES.every(({ fields }: Family) => fields.includes(name));
  const own = family.fields.filter((name) => !isOfAll(name)).map((name) => REQUEST_FIELDS[name].wire);
  const files = (family.singleFiles ?? []).map(({ name }) => name);
  return [code(family.name), codes(family.classes), files.length === 0 ? '–' : files.join(', '), codes(own)];
}

function componentCells(): readonly (readonly string[])[] {
  const all = FAMILIES.flatMap((family: Family) =>
    family.components.flatMap((spec) => {
      const classes = classNamesOf(spec);
      return classes.length === 0 ? [] : [{ cells: `${code(spec.name)} | ${codes(classes)}`, family: family.name }];
    }),
  );
  const groups = Object.entries(Object.groupBy(all, ({ cells }) => cells));
  return groups.map(([cells, users = []]) => [cells, codes(users.map(({ family }) => family))]);
}

function classNamesOf(spec: ComponentSpec): readonly string[] {
  if (spec.kind === 'network') return spec.classes.map(({ className }) => className);
  return spec.kind === 'tokenizer' ? spec.classes.flatMap(({ classNames }) => classNames) : [];
}

interface Configured {
  readonly className: string;
  readonly rules: ConfigRules<unknown>;
}

function networkClasses(): readonly Configured[] {
  const all = FAMILIES.flatMap((family: Family) =>
    family.components.flatMap((spec) => (spec.kind === 'network' ? spec.classes : [])),
  );
  return [...new Map(all.map((networkClass) => [networkClass.className, networkClass])).values()];
}

function keysOf({ implementedKeys, onlyDefault, withoutEffect }: ConfigRules<unknown>): string {
  const read = implementedKeys.filter((key) => !key.startsWith('_'));
  const reasons = Object.entries(Object.groupBy(Object.entries(withoutEffect), ([, reason]) => reason));
  return [
    `- Read: ${code(read.join(' '))}.`,
    ...(Object.keys(onlyDefault).length === 0 ? [] : [`- Refused unless: ${onlyValues(onlyDefault)}.`]),
    ...reasons.map(([reason, keys = []]) => `- Without effect (${reason}): ${codes(keys.map(([key]) => key))}.`),
  ].join('\n');
}

function onlyValues(onlyDefault: ConfigRules<unknown>['onlyDefault']): string {
  const keys = Object.entries(onlyDefault).map(([key, values]) =>
    code(`${key}: ${values.map((value) => JSON.stringify(value)).join(' or ')}`),
  );
  return keys.length === 0 ? '–' : keys.join(', ');
}

function schedulerCells({ className, names, takes = [], scheduleTypes = [] }: SchedulerClass): readonly string[] {
  const others = new Set(names.flatMap(otherNames));
  return [
    code(className),
    codes(names.map(({ name }) => name)),
    codes([...others]),
    codes(takes),
    codes(scheduleTypes),
  ];
}

function otherNames({ sampler, scheduleType, aliases = [] }: SchedulerName): readonly string[] {
  const label = scheduleType === undefined ? sampler : `${sampler ?? ''} ${scheduleType}`;
  return label === undefined ? aliases : [label, ...aliases];
}

function schedulerKeys({ className, rules }: SchedulerClass): readonly string[] {
  const { implementedKeys, onlyDefault } = rules(z);
  return [code(className), code(implementedKeys.join(' ')), onlyValues(onlyDefault)];
}

/** A sentence says first what the file is, then why it is refused or what to use. */
function refusedFileCells(): readonly (readonly string[])[] {
  const parts = REFUSED_FILES.map((sentence) => {
    const [, what = sentence, reason = ''] = /^(.*?)(?: checkpoint)?[,;:] (?:which )?(.*)$/.exec(sentence) ?? [];
    return { what, reason };
  });
  const groups = Object.entries(Object.groupBy(parts, ({ reason }) => reason));
  return groups.map(([reason, files = []]) => [
    files.map(({ what }) => what.replace(/^(?:an?|the) /, '')).join(', '),
    reason,
  ]);
}

/** The column of the table that says how much of a model the tests have. */
export function seenAs({ tiny = [], scheduler = [], fullSize = [] }: KnownCheckpoint): string {
  const kinds = Object.entries({ configuration: tiny, scheduler, 'tensor list': fullSize });
  const seen = kinds.filter(([, places]) => places.length > 0).map(([kind]) => kind);
  return seen.length === 0 ? 'not seen' : seen.join(', ');
}

function knownCells(known: KnownCheckpoint): readonly string[] {
  const { name, family, tiny = [], scheduler = [], fullSize = [], source = '–' } = known;
  const lists = fullSize.length === 0 ? [] : [`full-size.test.ts: ${fullSize.join(', ')}`];
  const places = [...[...tiny, ...scheduler].map(code), ...lists];
  return [name, code(family), seenAs(known), places.length === 0 ? '–' : places.join(', '), source];
}
