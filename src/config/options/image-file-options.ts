/** Options: the files that `text2img generate` reads and writes. */
import { option, type OptionSpec } from './option-spec.ts';
import { onOrOff, text } from './value-types.ts';

export const IMAGE_FILE_OPTIONS = {
  output: option({
    placeholder: '<file>',
    short: '-o',
    type: text,
    kind: 'path',
    doc: 'File to write: a PNG, a folder (ends with /), or - for standard output. Several images become x-1.png, x-2.png, … (default: ./text2img-<seed>.png).',
    allowed: 'a file, a folder or -',
    commands: ['generate'],
  }),
  clobber: option({
    type: onOrOff,
    default: 'on',
    doc: 'Refuse to replace a file, as TEXT2IMG_CLOBBER=off does.',
    allowed: 'on or off',
    commands: ['generate'],
  }),
  from: option({
    placeholder: '<file>',
    type: text,
    kind: 'path',
    doc: 'PNG whose settings to use. Other flags override them.',
    allowed: 'a PNG file',
    commands: ['generate'],
  }),
} as const satisfies Record<string, OptionSpec>;
