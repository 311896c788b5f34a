/** 8-bit weights without the compile cache: in a temporary file, which is removed as soon as the graph is open. A mapped file stays readable. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isDiskFull, messageOf } from '../lib/disk-errors.ts';
import type { EightBitForm } from '../onnx/eight-bit-weights.ts';
import type { BuiltGraph } from '../onnx/graph.ts';
import { checkRoom } from './cache-entries.ts';
import { writeWidened } from './write-widened.ts';

/** How a runtime compiles a graph into memory. */
export interface CompilingForm<N extends AsyncDisposable> {
  /** Of products with 8-bit weights; absent: `packed`. */
  readonly eightBitForm?: EightBitForm;
  /** Without the cache. @param graph its weights may lie in a file that is removed afterwards */
  compile(graph: BuiltGraph): Promise<N>;
}

/**
 * Compiles a graph with its weights in 8 bits, where it is to have them; any other as it is.
 * @throws `disk_full`, what writing throws, and what `compile` throws
 */
export async function overTemporaryWeights<N extends AsyncDisposable>(
  graph: BuiltGraph,
  form: CompilingForm<N>,
): Promise<N> {
  const { widening, weightType } = graph;
  if (weightType !== 'int8' || widening === undefined) return await form.compile(graph);
  const folder = await mkdtemp(join(tmpdir(), 'text2img-weights-'));
  try {
    const file = join(folder, 'weights.bin');
    await checkRoom(folder, widening.bytes);
    await writeWidened(widening, file);
    return await form.compile(widening.graphOver(file, form.eightBitForm));
  } catch (error) {
    if (!isDiskFull(error) && !(error instanceof Text2ImgError && error.code === 'disk_full')) throw error;
    throw new Text2ImgError(
      'disk_full',
      `the 8-bit weights of --weights int8 could not be written into ${folder}: ${messageOf(error)} Name a folder with more room with --compile-cache, or use --weights float.`,
      { cause: error },
    );
  } finally {
    // Windows keeps a file that is mapped.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}
