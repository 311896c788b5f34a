/** Times passes of a UNet at one batch after the other, with the time until the first result and the memory. */
import { memoryOf, timePasses } from './measure.ts';
import type { Report } from './step.ts';

/** Passes of one batch, with inputs that are ready. */
export interface BatchPasses extends Disposable {
  readonly run: () => Promise<unknown>;
  /** Of the last run. */
  readonly result: () => Promise<Float32Array>;
}

export interface TimeBatchesOptions {
  readonly batches: readonly number[];
  readonly prepare: (batch: number) => Promise<BatchPasses>;
  /** Beside the batch in the rows' names. */
  readonly variant?: string;
  readonly device: string;
  /** In use on the device before anything was opened. */
  readonly beforeBytes: number | undefined;
  readonly report: Report;
  /** Of the first image of the first batch. */
  readonly onResult: (values: Float32Array) => void;
}

/** @throws the failure of the first batch that fails, such as a lack of memory; those before it are reported */
export async function timeBatches(options: TimeBatchesOptions): Promise<void> {
  const { batches, variant, prepare, device, beforeBytes, report, onResult } = options;
  for (const [index, batch] of batches.entries()) {
    using passes = await prepare(batch);
    const timed = await timePasses(passes.run);
    const values = await passes.result();
    if (!values.every((value) => Number.isFinite(value)))
      throw new Error(`batch ${batch} gave numbers that are not finite`);
    if (index === 0) onResult(values.subarray(0, values.length / batch));
    report({
      what: variant === undefined ? `batch ${batch}` : `batch ${batch}, ${variant}`,
      ...timed,
      samplesPerSecond: batch / timed.seconds,
      ...memoryOf(device, beforeBytes),
    });
  }
}
