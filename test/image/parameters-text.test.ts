/** The `parameters` text: the usual layout, and every prompt read back exactly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatGenerationParameters,
  type GenerationParameters,
  parametersNotTaken,
  parseGenerationParameters,
} from '../../src/image/parameters-text.ts';
import { imageParameters } from '../../src/image/image-parameters.ts';
import { VERSION } from '../../src/version.ts';
import { aRequest, MODEL_FACTS } from '../job/a-request.ts';
import { growthOf } from '../lib/growth.ts';

const base: GenerationParameters = {
  prompt: 'a red circle',
  negativePrompt: '',
  numInferenceSteps: 20,
  scheduler: 'ddim',
  guidanceScale: 4,
  seed: 0,
  widthPx: 256,
  heightPx: 320,
  modelName: 'demo',
  modelHash: 'abcdef0123',
};

test('the layout is the one the usual tools read', () => {
  assert.equal(
    formatGenerationParameters({ ...base, negativePrompt: 'blurry' }),
    `a red circle\nNegative prompt: blurry\nSteps: 20, Sampler: DDIM, CFG scale: 4, Seed: 0, Size: 256x320, Model hash: abcdef0123, Model: demo, Scheduler: ddim, Version: text2img ${VERSION}`,
  );
});

test('without a negative prompt and a hash their places are left out', () => {
  const text = formatGenerationParameters({ ...base, modelHash: null });
  assert.doesNotMatch(text, /Negative prompt|Model hash/);
  assert.deepEqual(
    parseGenerationParameters(text),
    withoutUndefined({ ...base, negativePrompt: undefined, modelHash: undefined }),
  );
});

const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(
      '\n',
      '\r',
      '\0',
      '\ud800',
      '"',
      '\\',
      ',',
      ':',
      ' ',
      'Negative prompt: ',
      'Negative prompt:',
      'Steps: 20, Sampler: Euler, Seed: 1',
      'Prompts: "[]"',
      'ü',
      '🦊',
    ),
  }),
);

test('any prompt and any numbers are read back exactly', () => {
  const given = fc.record({
    prompt: nasty,
    negativePrompt: nasty,
    modelName: fc.string({ unit: 'binary', minLength: 1 }),
    guidanceScale: fc.double({ noNaN: true, noDefaultInfinity: true }),
    seed: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  });
  fc.assert(
    fc.property(given, (fields) => {
      const parameters = { ...base, ...fields };
      const text = formatGenerationParameters(parameters);
      assert.ok(text.isWellFormed() && !text.includes('\0'), 'fits into a text chunk');
      assert.deepEqual({ negativePrompt: '', ...parseGenerationParameters(text) }, parameters);
    }),
    { numRuns: 2000 },
  );
});

test('a text of the web UI is read, with its own sampler names', () => {
  // The layout of https://github.com/AUTOMATIC1111/stable-diffusion-webui, modules/infotext_utils.py.
  const text =
    'masterpiece, a fox\nin the snow\nNegative prompt: lowres,\nbad hands\nSteps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 12345, Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Lora hashes: "a: 1, b: 2", Version: v1.9.3';
  assert.deepEqual(parseGenerationParameters(text), {
    prompt: 'masterpiece, a fox\nin the snow',
    negativePrompt: 'lowres,\nbad hands',
    numInferenceSteps: 28,
    scheduler: 'dpmpp_2m_karras',
    guidanceScale: 6.5,
    seed: 12345,
    widthPx: 512,
    heightPx: 768,
    modelName: 'v1-5-pruned-emaonly',
    modelHash: '6ce0161689',
  });
});

for (const [sampler, schedule, scheduler] of [
  ['Euler', 'Karras', 'euler_karras'],
  ['DPM++ 2M', 'SGM Uniform', 'dpmpp_2m_sgm_uniform'],
  ['Euler a', 'Automatic', 'euler_a'],
  ['DPM++ 2M', 'Exponential', 'dpmpp_2m_exponential'],
] as const) {
  test(`the web UI’s sampler ${sampler} with the schedule ${schedule} is read`, () => {
    const text = `p\nSteps: 4, Sampler: ${sampler}, Schedule type: ${schedule}, Seed: 1`;
    assert.equal(parseGenerationParameters(text).scheduler, scheduler);
    assert.deepEqual(parametersNotTaken(text), []);
  });
}

test('timesteps, sigmas, eta and a schedule are written, and read back exactly', () => {
  const own = { scheduleType: 'sgm_uniform', timesteps: [999, 20, 0], sigmas: [14.614_641, 0.1], eta: 0.3 };
  const text = formatGenerationParameters({ ...base, ...own });
  assert.match(
    text,
    /Sampler: .*, Schedule type: SGM Uniform, CFG scale: .*Eta: 0.3, Timesteps: "999, 20, 0", Sigmas: "14.6/,
  );
  assert.deepEqual({ negativePrompt: '', ...parseGenerationParameters(text) }, { ...base, ...own });
  assert.throws(() => parseGenerationParameters('p\nSteps: 1, Seed: 1, Timesteps: "9, x"'), {
    code: 'unreadable_file',
  });
});

test('a text without a line of values is a prompt', () => {
  assert.deepEqual(parseGenerationParameters('only: words, here'), { prompt: 'only: words, here' });
});

for (const [bad, value] of [
  ['Steps: many, Sampler: DDIM, Seed: 1', 'many'],
  ['Steps: 20, Seed: 1, Size: 512', '512'],
  ['Steps: 20, Seed: 1, Prompts: "[1]"', '[1]'],
] as const) {
  test(`a value that makes no sense is refused and quoted: ${bad}`, () => {
    assert.throws(
      () => parseGenerationParameters(`p\n${bad}`),
      (error: Error & { code?: string }) => error.code === 'unreadable_file' && error.message.includes(value),
    );
  });
}

const LINE = 'Steps: 4, Sampler: Euler a, CFG scale: 2.5, Seed: 11, Size: 128x64';

for (const [title, text] of [
  ['a line end behind them', `a cat\nNegative prompt: dogs\n${LINE}\n`],
  ['the line ends of Windows', `a cat\r\nNegative prompt: dogs\r\n${LINE}\r\n`],
  ['blank lines and blanks behind them', `a cat\nNegative prompt: dogs\n${LINE}  \n\n \t\n`],
] as const) {
  test(`parameters with ${title} are read`, () => {
    assert.deepEqual(parseGenerationParameters(text), {
      prompt: 'a cat',
      negativePrompt: 'dogs',
      numInferenceSteps: 4,
      scheduler: 'euler_a',
      guidanceScale: 2.5,
      seed: 11,
      widthPx: 128,
      heightPx: 64,
    });
  });
}

test('what is not drawn here is named, what has no influence is not', () => {
  assert.deepEqual(
    parametersNotTaken(`a\n${LINE}, Clip skip: 1, Schedule type: Automatic, Model: m, Version: v1.10`),
    [],
  );
  assert.deepEqual(
    parametersNotTaken(
      `a\n${LINE}, Schedule type: Polyexponential, Clip skip: 2, Denoising strength: 0.4, Lora hashes: "x: 1, y: 2", ENSD: 31337, toString: 1`,
    ),
    [
      'Schedule type: Polyexponential',
      'Denoising strength: 0.4',
      'Lora hashes: x: 1, y: 2',
      'ENSD: 31337',
      'toString: 1',
    ],
  );
  assert.deepEqual(parametersNotTaken(formatGenerationParameters({ ...base, prompt: 'Clip skip: 2\n, "' })), []);
});

test('pairs are told apart as in the web UI: quotation marks, commas, names with dashes and slashes', () => {
  const pairs =
    '  Steps: 3,Sampler:"DDIM", Seed:  5 , : , "x": 1, Hires-fix/a b: "un,closed, -Size: 64x72, Model: "a \\"b\\", c", end';
  const found = parseGenerationParameters(`p\n${pairs}`);
  assert.deepEqual(found, {
    prompt: 'p',
    numInferenceSteps: 3,
    scheduler: 'ddim',
    seed: 5,
    widthPx: 64,
    heightPx: 72,
    modelName: 'a "b", c',
  });
});

for (const piece of ['a', ' ', 'a ', '"', 'a:"', '\\"', 'a: "\\', ':', ',', '-a/', 'é', 'a:', '\n', '\r\n ']) {
  test(`a line of ${JSON.stringify(piece)} is read in time that grows with its length only`, () => {
    const make = (length: number): string => `p\n${piece.repeat(length)}`;
    const ratio = growthOf({ make, use: parseGenerationParameters, size: 50_000, factor: 8 });
    // Eight times as long: the square would take 64 times as much.
    assert.ok(ratio < 32, `${ratio} times the time`);
  });
}

for (const value of ['0x14', '', 'Infinity', '1_0', '2 3', 'NaN'])
  test(`Steps: ${JSON.stringify(value)} is no number`, () => {
    assert.throws(() => parseGenerationParameters(`p\nSteps: ${value}, Seed: 1, Size: 64x64`), {
      code: 'unreadable_file',
    });
  });

test('a value of a megabyte is refused in one short sentence', () => {
  for (const bad of ['Steps: ', 'Size: ', 'Prompts: '])
    assert.throws(
      () => parseGenerationParameters(`p\nCFG scale: 1, Seed: 1, ${bad}${'x\u009b'.repeat(500_000)}`),
      (error: Error) => error.message.length <= 300 && !error.message.includes('\u009b'),
    );
});

function withoutUndefined(record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

test('a field that the model does not read is left out of the text, the scheduler and the negative prompt too', () => {
  const model = { ...MODEL_FACTS, fields: ['prompt', 'seed', 'widthPx', 'heightPx'] };
  const made = { seed: 8, widthPx: 16, heightPx: 24 };
  const text = formatGenerationParameters(
    imageParameters(aRequest({ prompt: 'a fox', negativePrompt: 'n' }), model, made),
  );
  assert.match(text, /^a fox\nSeed: 8, Size: 16x24, Model: m, Version: text2img \S+$/);
  assert.deepEqual(parseGenerationParameters(text), {
    prompt: 'a fox',
    seed: 8,
    widthPx: 16,
    heightPx: 24,
    modelName: 'm',
  });
});

for (const [facts, expected] of [
  [{}, undefined],
  [{ runtime: 'onnxruntime' }, undefined],
  [{ runtime: 'openvino' }, 'openvino'],
  [{ runtime: 'openvino', dtype: 'bfloat16' }, 'openvino bfloat16'],
  [{ weights: 'int8' }, 'onnxruntime int8'],
  [{ runtime: 'onnxruntime', weights: 'int8' }, 'onnxruntime int8'],
  [{ runtime: 'openvino', dtype: 'bfloat16', weights: 'int8' }, 'openvino bfloat16 int8'],
] as const)
  test(`an image of ${JSON.stringify(facts)} names its arithmetic only where it is another than usual`, () => {
    const made = { seed: 8, widthPx: 16, heightPx: 24 };
    assert.equal(imageParameters(aRequest({ prompt: 'a fox' }), { ...MODEL_FACTS, ...facts }, made).runtime, expected);
  });
