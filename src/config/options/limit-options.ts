/** Options: how much one prompt may ask for. */
import { DEFAULT_LIMITS } from '../../job/limits.ts';
import { PICTURE, option, type OptionSpec } from './option-spec.ts';
import { wholeNumber } from './value-types.ts';

export const LIMIT_OPTIONS = {
  maxSteps: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 1 }),
    default: String(DEFAULT_LIMITS.maxSteps),
    doc: 'Most denoising steps of a request.',
    allowed: 'a whole number, at least 1',
    commands: PICTURE,
  }),
  maxPixels: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 64 }),
    default: String(DEFAULT_LIMITS.maxPixels),
    doc: 'Most pixels of an image (width × height).',
    allowed: 'a whole number, at least 64',
    commands: PICTURE,
  }),
  maxImages: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 1 }),
    default: String(DEFAULT_LIMITS.maxImages),
    doc: 'Most images of a request.',
    allowed: 'a whole number, at least 1',
    commands: PICTURE,
  }),
  maxPromptBytes: option({
    placeholder: '<n>',
    type: wholeNumber({ min: 0 }),
    default: String(DEFAULT_LIMITS.maxPromptBytes),
    doc: 'Most UTF-8 bytes of a prompt, and of a negative prompt.',
    allowed: 'a whole number',
    commands: PICTURE,
  }),
} as const satisfies Record<string, OptionSpec>;
