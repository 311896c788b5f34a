/** `text2img models show` of a checkpoint that is one file: what its tensors say. No weights are read. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { openCheckpoint, type OpenCheckpointOptions } from '../checkpoint/open-checkpoint.ts';
import { recogniseFile, type RecognisedFile } from '../checkpoint/single-file/open-single-file.ts';
import type { CheckpointFamily } from '../checkpoint/component-spec.ts';
import { separated } from '../lib/letter-cases.ts';
import { proveFit } from '../pipelines/prove-fit.ts';
import type { FAMILIES } from '../pipelines/registry.ts';
import { shownSettings } from '../schedulers/shown-settings.ts';

type OneFamily = (typeof FAMILIES)[number];

/** The numbers of one network in a file. */
interface NetworkSize {
  readonly component: string;
  readonly parameters: number;
  /** As the format names them, the most frequent first: `F16`. */
  readonly dtypes: readonly string[];
}

export interface ShownFile {
  /** For `--json`. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Label and value, for people. */
  readonly rows: readonly (readonly [label: string, value: string])[];
  readonly warnings: readonly string[];
}

/** @throws as `openCheckpoint`, but not for a missing component */
export async function showFile(path: string, options: OpenCheckpointOptions<OneFamily>): Promise<ShownFile> {
  const file = await recogniseFile(path, options);
  const { layout, model, missing, tensors } = file;
  const whole = missing.length === 0 ? await provedFacts(path, options) : { described: {}, warnings: model.warnings };
  const { className, json } = model.scheduler;
  const { prediction, stated, text: settings } = shownSettings(className, json);
  const sizes = networkSizes(file);
  const facts = {
    file: resolve(path),
    sizeBytes: (await stat(path)).size,
    recognisedAs: layout.name,
    pipeline: layout.pipelineClass,
    prediction,
    scheduler: className,
    schedulerConfig: stated,
    components: Object.fromEntries(Object.entries(model.networks).map(([name, network]) => [name, network.className])),
    networks: sizes,
    tensors: tensors.places.size,
    missing,
    ...whole.described,
  };
  const rows: ShownFile['rows'] = [
    ['recognised as', facts.recognisedAs],
    ['pipeline', facts.pipeline],
    ['prediction', prediction],
    ['scheduler', className],
    ['scheduler settings', settings],
    ...Object.entries(whole.described).map(
      ([name, value]) => [separated(name, ' '), typeof value === 'string' ? value : JSON.stringify(value)] as const,
    ),
    ...sizes.map((size) => [`  ${size.component}`, sizeText(size, facts.components[size.component] ?? '')] as const),
    ...(missing.length === 0 ? [] : [['missing', missing.join(', ')] as const]),
  ];
  return { facts, rows, warnings: whole.warnings };
}

/** A file with all its networks is opened, so that a missing or misshapen tensor is found here. */
async function provedFacts(path: string, options: OpenCheckpointOptions<OneFamily>): Promise<ProvedFacts> {
  const checkpoint = await openCheckpoint(path, options);
  proveFit(checkpoint);
  const { family, warnings } = checkpoint;
  const { defaultWidthPx, defaultHeightPx } = family.facts(checkpoint);
  return {
    described: { defaultSize: `${defaultWidthPx}x${defaultHeightPx}`, ...family.describe(checkpoint) },
    warnings,
  };
}

interface ProvedFacts {
  readonly described: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
}

function networkSizes({ model, tensors }: RecognisedFile<CheckpointFamily>): readonly NetworkSize[] {
  return Object.entries(model.networks).map(([component, { names }]) => {
    const own = [...tensors.places].filter(([stored]) => names.graphNames(stored).length > 0).map(([, place]) => place);
    const counts = Map.groupBy(own, ({ dtype }) => dtype);
    return {
      component,
      parameters: own.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
      dtypes: [...counts].toSorted(([, a], [, b]) => b.length - a.length).map(([dtype]) => dtype),
    };
  });
}

function sizeText({ parameters, dtypes }: NetworkSize, className: string): string {
  return `${className}, ${(parameters / 1e6).toFixed(parameters < 1e7 ? 1 : 0)} M parameters, ${dtypes.join(' and ')}`;
}
