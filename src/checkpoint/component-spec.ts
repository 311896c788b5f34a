/**
 * The components of a checkpoint, as a family lists them. Everything that reads or fetches checkpoints takes such a list as a parameter:
 * opening a folder, the hub's file list, `models show`, `doctor` and the engine.
 */
import type { ReadConfig } from '../lib/config-rules.ts';
import type { NetworkClass } from '../networks/network-class.ts';
import type { ReadTokenizer } from './read-tokenizer.ts';
import type { SingleFileLayout } from './single-file/single-file-layout.ts';

export interface NetworkSpec {
  readonly kind: 'network';
  /** The component's name in `model_index.json`, and its folder. */
  readonly name: string;
  /** The classes that it may have. */
  readonly classes: readonly NetworkClass[];
  /** A checkpoint may leave it out, or say `[null, null]`. */
  readonly optional?: true;
  /** Keys of its configuration that the family has, for weights that are given without one. */
  readonly untold?: Readonly<Record<string, unknown>>;
}

/** A class of tokenizers: which files it is saved in, and how they are read. */
export interface TokenizerClass<T extends ReadTokenizer = ReadTokenizer> {
  /** As in `model_index.json`; several classes may share their files. */
  readonly classNames: readonly string[];
  /** One of these sets of files must be there, whole. */
  readonly fileSets: readonly (readonly string[])[];
  /** Files that may be there. */
  readonly otherFiles: readonly string[];
  /** @param maxTokens the text encoder's limit, where it has one @throws `invalid_tokenizer`, `model_not_found`, `invalid_config` */
  read(folder: string, maxTokens: number | undefined): Promise<T>;
}

export interface TokenizerSpec {
  readonly kind: 'tokenizer';
  readonly name: string;
  readonly classes: readonly TokenizerClass[];
  /** The network that reads its tokens. */
  readonly encoder: string;
  readonly optional?: true;
}

export interface SchedulerSpec {
  readonly kind: 'scheduler';
  readonly name: string;
  /** @throws `unsupported_class`, `unsupported_config`, `invalid_config` */
  readConfig(
    className: string,
    json: Readonly<Record<string, unknown>>,
    where: string,
  ): ReadConfig<Readonly<Record<string, unknown>>>;
}

/** Known, never fetched, never read. Components that no list names are ignored without a word. */
export interface IgnoredSpec {
  readonly kind: 'ignored';
  readonly name: string;
  /** A sentence for the log where a checkpoint has it. */
  readonly warning?: string;
}

export type ComponentSpec = NetworkSpec | TokenizerSpec | SchedulerSpec | IgnoredSpec;

/** The facts of a family that this folder needs. */
export interface CheckpointFamily {
  /** Pipeline classes of `model_index.json`. */
  readonly classes: readonly string[];
  readonly components: readonly ComponentSpec[];
  /** Checkpoints that lie in one file; absent: none is read. */
  readonly singleFiles?: readonly SingleFileLayout[];
  /** Why a checkpoint with this index is another kind of model, as the end of a sentence. Asked before the components are looked at. */
  refuses?(index: IndexedComponents): string | undefined;
}

/** The part of `model_index.json` that tells a kind of model from another. */
interface IndexedComponents {
  /** Component → class name. One that says `[null, null]` is not in it. */
  readonly components: Readonly<Record<string, string>>;
}
