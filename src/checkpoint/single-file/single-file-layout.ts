/**
 * The contract of a single-file layout: how a family's checkpoint looks when all its networks lie in one file. A family lists its layouts. The first that
 * recognises the tensors reads the file.
 */
import type { CheckpointChoices } from '../checkpoint-choices.ts';
import type { ReadTokenizer } from '../read-tokenizer.ts';
import type { FileTensors } from './file-tensors.ts';
import type { NameTable } from './name-table.ts';

export interface SingleFileNetwork {
  readonly className: string;
  /** The content of its config.json: some of it is read off the tensors, the rest is known of the layout. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly names: NameTable;
}

interface SingleFileTokenizer {
  readonly className: string;
  /** @param maxTokens the text encoder's limit */
  read(maxTokens: number | undefined): Promise<ReadTokenizer>;
}

export interface SingleFileModel {
  /** By component. One that the file lacks is not in it. */
  readonly networks: Readonly<Record<string, SingleFileNetwork>>;
  readonly tokenizers: Readonly<Record<string, SingleFileTokenizer>>;
  readonly scheduler: { readonly className: string; readonly json: Readonly<Record<string, unknown>> };
  /** Other keys that model_index.json would have. */
  readonly index?: Readonly<Record<string, unknown>>;
  /** Sentences for the log. */
  readonly warnings: readonly string[];
}

export interface SingleFileLayout {
  /** For messages: `Stable Diffusion 1.x`. */
  readonly name: string;
  /** As model_index.json would say it. */
  readonly pipelineClass: string;
  /** By the tensors alone: no two layouts recognise the same file. */
  recognise(tensors: FileTensors): boolean;
  /** @throws `unsupported_config` for a structure that diffusers cannot describe */
  read(tensors: FileTensors, choices: CheckpointChoices): SingleFileModel;
  /** The autoencoder alone, for a model that borrows it. @returns undefined where the file lacks it @throws `unsupported_config` */
  readVae(tensors: FileTensors): SingleFileNetwork | undefined;
}
