/** The contract of a pipeline family: checkpoints that are drawn with in the same way. A family owns its components and which proofs apply to them. */
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { CheckpointFamily } from '../checkpoint/component-spec.ts';

export interface Family extends CheckpointFamily {
  /** For logs and messages. */
  readonly name: string;
  /**
   * Proves what no component can say alone: that widths, channels and tokens fit together. The tensors that each network asks for are proved for
   * every family alike. @throws `invalid_config`, `unsupported_config`
   */
  prove(checkpoint: Checkpoint): void;
  /** What `models show` says beside the components; names as in its JSON. */
  describe(checkpoint: Checkpoint): Readonly<Record<string, unknown>>;
}
