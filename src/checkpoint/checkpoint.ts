/** A checkpoint that was opened: what its files say, with the types of the components that its family lists. No weights are loaded. */
import type { NetworkClass } from '../networks/network-class.ts';
import type { Weights } from '../onnx/weights.ts';
import type { ComponentSpec, NetworkSpec, TokenizerClass, TokenizerSpec } from './component-spec.ts';
import type { ModelIndex } from './model-index.ts';

export interface CheckpointNetwork<C = unknown> {
  readonly networkClass: NetworkClass<C>;
  /** The file that `config` comes from. */
  readonly configPath: string;
  readonly config: C;
  /** Under the names that the network's graph asks for. */
  readonly weights: Weights;
}

export interface CheckpointScheduler {
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
}

type List = readonly ComponentSpec[];
type OfKind<L extends List, K extends ComponentSpec['kind']> = Extract<L[number], { readonly kind: K }>;
type ConfigOf<S extends NetworkSpec> = S['classes'][number] extends NetworkClass<infer C> ? C : never;
type FilesOf<S extends TokenizerSpec> = S['classes'][number] extends TokenizerClass<infer T> ? T : never;
/** In the general type `List` any component may be missing, not only an optional one. */
type IfOptional<S extends { readonly name: string }> = S extends { readonly optional: true }
  ? undefined
  : string extends S['name']
    ? undefined
    : never;

/** Name of a network in the list → `T`. */
export type PerNetwork<L extends List, T> = {
  readonly [S in OfKind<L, 'network'> as S['name']]: T | IfOptional<S>;
};

export interface Checkpoint<L extends List = List> {
  /** Real path of the folder, or of the one file. */
  readonly folder: string;
  /** The model's name in images and logs. */
  readonly modelName: string;
  readonly index: ModelIndex;
  readonly networks: {
    readonly [S in OfKind<L, 'network'> as S['name']]: CheckpointNetwork<ConfigOf<S>> | IfOptional<S>;
  };
  readonly tokenizers: { readonly [S in OfKind<L, 'tokenizer'> as S['name']]: FilesOf<S> | IfOptional<S> };
  /** Undefined where the family lists none. */
  readonly scheduler: [OfKind<L, 'scheduler'>] extends [never]
    ? undefined
    : CheckpointScheduler | (string extends OfKind<L, 'scheduler'>['name'] ? undefined : never);
  /** Sentences for the log. */
  readonly warnings: readonly string[];
  /** Sentences that only somebody who looks for them wants to read. */
  readonly details: readonly string[];
}
