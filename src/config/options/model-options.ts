/** Options: the model and the machine. */
import { DRAWING, option, type OptionSpec } from './option-spec.ts';
import { matching, oneOf, onOrOff, text, wholeNumber } from './value-types.ts';

export const MODEL_OPTIONS = {
  model: option({
    placeholder: '<folder|id>',
    type: text,
    kind: 'path',
    doc: 'Checkpoint folder, or a model of the Hugging Face hub: owner/name or owner/name@revision (default: runwayml/stable-diffusion-v1-5 with MongoDB, else the demo checkpoint).',
    allowed: 'a folder or owner/name',
    commands: ['run', 'generate', 'doctor'],
    environment: 'MODEL_ID',
    aliases: ['--model-id'],
  }),
  variant: option({
    placeholder: '<name>',
    type: matching(/^[\w-]{1,40}$/),
    doc: 'Preferred variant of the weights, such as fp16.',
    allowed: 'a name like fp16',
    commands: ['run', 'generate', 'models', 'doctor'],
  }),
  offline: option({
    type: onOrOff,
    default: 'off',
    doc: 'Use models from the cache only. Never ask the hub.',
    allowed: 'on or off',
    commands: ['run', 'generate', 'models', 'doctor'],
  }),
  device: option({
    placeholder: '<device>',
    type: matching(/^(?:auto|cpu|webgpu|cuda(?::\d{1,3})?)$/),
    default: 'auto',
    doc: 'Device for the networks: auto, cpu, cuda, cuda:N or webgpu.',
    allowed: 'auto, cpu, cuda, cuda:N or webgpu',
    commands: ['run', 'generate', 'doctor'],
  }),
  dtype: option({
    placeholder: '<type>',
    type: oneOf(['auto', 'float32', 'float16']),
    default: 'auto',
    doc: 'Compute type: auto, float32 or float16. auto takes float16 on a GPU, float32 on a CPU.',
    allowed: 'auto, float32 or float16',
    commands: DRAWING,
  }),
  threads: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 0, max: 1024 }),
    default: '0',
    doc: 'CPU threads. 0 uses all cores.',
    allowed: 'a whole number from 0 to 1024',
    commands: DRAWING,
  }),
  vaeTiling: option({
    type: onOrOff,
    default: 'off',
    doc: 'Decode large images in tiles, to save memory.',
    allowed: 'on or off',
    commands: DRAWING,
  }),
  compileCache: option({
    placeholder: '<folder|off>',
    type: text,
    kind: 'path',
    doc: 'Folder of compiled networks, or off (default: text2img in the user’s cache folder).',
    allowed: 'a folder or off',
    commands: DRAWING,
  }),
  verifyCache: option({
    placeholder: '<when>',
    type: oneOf(['changed', 'always', 'never']),
    default: 'changed',
    doc: 'When to hash the compile cache and the weights again: changed (if a file changed), always (at each start) or never.',
    allowed: 'changed, always or never',
    commands: DRAWING,
  }),
} as const satisfies Record<string, OptionSpec>;
