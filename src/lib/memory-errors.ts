/** How C++, V8, ONNX Runtime, CUDA and the C library say that memory was refused. */
import { excerpt } from './foreign-text.ts';

const REFUSED =
  /bad_alloc|bad allocation|out of memory|(?:failed|could not|unable) to allocate|cannot allocate memory|mmap[^\n]{0,200}fail|failed to m?map|not enough memory|array buffer allocation failed|ENOMEM|STATUS_(?:\w*_)?ALLOC(?:ATION)?_FAILED/i;

/** Longer messages are file names and frames of C++. */
const LOOKED_AT_LENGTH = 10_000;
const QUOTED_LENGTH = 120;

/** The text's line about memory, without the source paths around it; undefined where it speaks of something else. */
export function memoryRefusal(text: string): string | undefined {
  const head = text.slice(0, LOOKED_AT_LENGTH);
  const found = REFUSED.exec(head);
  if (found === null) return undefined;
  const [line = ''] = head.slice(found.index).split('\n');
  // ONNX Runtime goes on with the GPU's number, the host's name and its own source.
  const [said = ''] = line.split(' ; GPU=');
  return excerpt(said.trim().replace(/\.$/, ''), QUOTED_LENGTH);
}
