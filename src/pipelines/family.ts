/**
 * The contract of a pipeline family: checkpoints that generate in the same way. To add one: a folder here and a line in `registry.ts`. The engine
 * loads a checkpoint in this order: `prove`, `facts`, `load`. Its loaded half is `contract.ts`.
 */
import type { Checkpoint, CheckpointNetwork } from '../checkpoint/checkpoint.ts';
import type { CheckpointFamily } from '../checkpoint/component-spec.ts';
import type { GenerationDefaults } from '../job/generation-request.ts';
import type { FieldName } from '../job/request-fields.ts';
import type { AutoencoderTinyConfig } from '../networks/autoencoder-tiny-config.ts';
import type { GraphChoice, GraphSizes } from '../networks/network-class.ts';
import type { ComputeType } from '../onnx/graph.ts';
import type { DeviceTensor, HostTensor, Network, OpenOptions } from '../runtime/contract.ts';
import type { Pipeline } from './contract.ts';

/** The model's values for fields that a request leaves out. */
interface FamilyFacts {
  readonly defaultWidthPx: number;
  readonly defaultHeightPx: number;
  /** Of feature caching; absent: the family has none. */
  readonly largestDeepCacheBranch?: number;
  /** Fields of the family that this checkpoint does not read. */
  readonly unreadFields?: readonly FieldName[];
  /**
   * For other fields, where the family's default is not the table's: four steps for a distilled model. A family that reads `scheduler` names its
   * checkpoint's here.
   */
  readonly defaults?: Omit<GenerationDefaults, 'widthPx' | 'heightPx'>;
}

export interface ImageSize {
  readonly widthPx: number;
  readonly heightPx: number;
}

export interface OpenNetworkOptions extends GraphChoice {
  readonly use: OpenOptions['use'];
  /** Another arithmetic than the device's; a network that is open in it already is not opened again. */
  readonly computeType?: ComputeType;
  /** Absent: the form that is fastest on the device. */
  readonly form?: 'portable';
}

/** The sizes of a graph's inputs that differ from run to run. */
export type RunSizes = Omit<GraphSizes, 'tokens'>;

/** A run that a pipeline wants to make. */
export interface PlannedRun extends GraphChoice {
  /** A network's name in the family's list. */
  readonly component: string;
  readonly computeType?: ComputeType;
  /** As of `OpenNetworkOptions`. */
  readonly form?: 'portable';
  readonly sizes: RunSizes;
  /** Of inputs that the pipeline keeps from run to run. */
  readonly keptBytes?: number;
}

/** In bytes, weights included. */
export interface Shortage {
  readonly needBytes: number;
  readonly freeBytes: number;
}

/**
 * The consequence of a shortage. `plan`: something smaller is tried, so an estimate is enough. `refuse`: the job fails, so where estimates are rough
 * only what is certain counts.
 */
export type ShortagePurpose = 'plan' | 'refuse';

export interface LoadTools {
  /**
   * Builds a component's graph, picks its compute type and opens it on the device. The engine closes it.
   * @param component a network's name in the family's list
   * @throws `inference_failed`, `engine_out_of_memory`, `internal`, and of another graph than the first `missing_tensor`, `wrong_tensor_shape`
   */
  readonly open: (component: string, options: OpenNetworkOptions) => Promise<Network>;
  /**
   * Brings an input that several runs read to where the networks read it; without a memory of its own it is the same memory. The caller disposes it.
   * @throws `device_unavailable`, `inference_failed`, `engine_out_of_memory`
   */
  readonly upload: (tensor: HostTensor) => Promise<DeviceTensor>;
  /**
   * Whether memory suffices for runs that follow each other. A run that was made before needs nothing more. Absent: nobody knows what is free.
   * @param purpose default: `plan`
   * @returns of the first run that does not fit; undefined: all do, as far as is known
   */
  readonly shortage?: (runs: readonly PlannedRun[], purpose?: ShortagePurpose) => Shortage | undefined;
  /** The TAESD that decodes previews, as the component `preview_vae`. Absent: they are made without a network. */
  readonly preview?: CheckpointNetwork<AutoencoderTinyConfig>;
  readonly settings: {
    /** The device's compute type. A network that overflows in it is opened in float32 all the same. */
    readonly computeType: ComputeType;
    /** Decode large images in tiles. */
    readonly vaeTiling: boolean;
  };
}

export interface Family extends CheckpointFamily {
  /** For logs and messages. */
  readonly name: string;
  /** The fields of a request that it reads. A document that states another field is refused. */
  readonly fields: readonly FieldName[];
  /** The network whose weight file names the model (`modelHash`). */
  readonly hashedNetwork?: string;
  /**
   * Proves what no component can say alone: that widths, channels and tokens fit together. The tensors that each network asks for are proved for
   * every family alike. @throws `invalid_config`, `unsupported_config`
   */
  prove(checkpoint: Checkpoint): void;
  /** The facts that `models show` prints beside the components; names as in its JSON. */
  describe(checkpoint: Checkpoint): Readonly<Record<string, unknown>>;
  /** The sizes of the networks' graphs for an image, for estimates of memory. Absent: those that a graph is written for anyway. */
  sizes?(checkpoint: Checkpoint, imagePx: ImageSize): RunSizes;
  /** By the configurations alone: nothing is loaded yet. */
  facts(checkpoint: Checkpoint): FamilyFacts;
  /** @throws `unsupported_config` for settings that the checkpoint cannot have, and all of `LoadTools.open` */
  load(checkpoint: Checkpoint, tools: LoadTools): Promise<Pipeline>;
}
