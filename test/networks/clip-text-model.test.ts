/** A prompt that may have fewer tokens than the text encoder has positions. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { openKnown } from '../checkpoint/open-known.ts';
import { ClipTokenizer } from '../../src/pipelines/parts/clip-tokenizer.ts';
import { CLIP_TEXT_MODEL } from '../../src/networks/clip-text-model.ts';
import { floatsOf, int32 } from '../../src/runtime/tensors.ts';
import { openOnCpu } from '../runtime/open-on-cpu.ts';

test('with 40 tokens of 77 positions the first 40 vectors are those of the whole length', async () => {
  const {
    networks: { text_encoder: textEncoder },
    tokenizers: { tokenizer },
  } = await openKnown(fileURLToPath(new URL('../../models/demo', import.meta.url)));
  const encode = async (tokens: number): Promise<Float32Array> => {
    await using network = await openOnCpu(
      CLIP_TEXT_MODEL.build({ ...textEncoder, computeType: 'float32', sizes: { tokens } }),
    );
    const { inputIds } = new ClipTokenizer({ ...tokenizer, maxTokens: 77 }).tokenize(
      'a red circle and a blue square '.repeat(9),
    );
    return floatsOf(
      await network.run({ input_ids: int32(inputIds.slice(0, tokens), [1, tokens]) }),
      'last_hidden_state',
    );
  };
  const { hidden_size: features } = textEncoder.config;
  const [whole, part] = [await encode(77), await encode(40)];
  assert.equal(part.length, 40 * features);
  // A token never looks at a later one.
  for (const [index, value] of part.entries()) {
    const expected = whole[index] as number;
    assert.ok(Math.abs(value - expected) < 1e-4, `element ${index} is ${value}, not ${expected}`);
  }
});
