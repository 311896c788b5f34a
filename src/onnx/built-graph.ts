/** A graph that was written, ready for a runtime. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { ComputeType } from './compute-type.ts';
import type { EightBitForm } from './eight-bit-weights.ts';
import type { WeightFilePlace } from './protos.ts';
import type { WidenedFile } from './widening.ts';

/** The same graph over one file with all of its weights in the compute type, or in 8 bits. */
export interface Widening extends WidenedFile {
  /** @param file that `writeWidened` wrote @param form of 8-bit products; absent: `packed` */
  readonly graphOver: (file: string, form?: EightBitForm) => BuiltGraph;
}

export interface BuiltGraph {
  readonly model: Uint8Array;
  /** The model with its weight files elsewhere: below another folder, or in memory. Absent: it has none. */
  readonly modelOver?: (placeOf: (file: string) => WeightFilePlace) => Uint8Array;
  /** Precision of its arithmetic; its inputs and outputs are always float32. */
  readonly computeType: ComputeType;
  /** Absent: `portable`. */
  readonly form?: 'fused';
  /** It has operators that only ONNX Runtime's CUDA provider has. Absent: every device runs it. */
  readonly isForCuda?: true;
  /** The folder that the external initialisers' locations are relative to. */
  readonly weightsFolder: string;
  /** The files that the external initialisers lie in. */
  readonly weightFiles: readonly string[];
  /** Bytes of the external initialisers in the compute type, or in 8 bits. */
  readonly weightBytes: number;
  /** `int8`: linear layers have weights of 8 bits. Where `widening` is there, only the graph that it makes has them. Absent: no layer has. */
  readonly weightType?: 'int8';
  /** Absent: the files have every external initialiser as the graph wants it. */
  readonly widening?: Widening;
  /** Of the largest tensor that stands in the graph itself. */
  readonly largestInlineBytes: number;
  /** 2 × multiply-adds of Conv, MatMul and attention at the nominal sizes. */
  readonly flops: number;
  /** Of the values that live at once at the nominal sizes, at most. */
  readonly activationBytes: number;
}

/** Before its file was written the graph has weights of floating-point numbers, and a runtime would hold four times as many bytes without a word. @throws `internal` */
export function requireWritten({ weightType, widening }: BuiltGraph): void {
  if (weightType === 'int8' && widening !== undefined)
    throw new Text2ImgError('internal', 'a graph was opened before its 8-bit weights were written.');
}

/** @param device as logs name it @throws `device_unavailable` for a graph with operators that the device does not have */
export function requirePortable({ isForCuda }: BuiltGraph, device: string): void {
  if (isForCuda)
    throw new Text2ImgError(
      'device_unavailable',
      `a graph in the fused form runs on CUDA only, not on ${device}. Give --graph-form portable.`,
    );
}
