/** The command in sentences and help, as this user types it. Where npm started the program, the command is usually not in the path. */
import type { Environment } from '../config/environment.ts';

export type OwnName = 'text2img' | 'npx text2img';

/** The command in a line that npm runs: `text2img`, `'text2img'`, `node bin/text2img.js`. */
const COMMAND = /(?:^|[\s/"'])text2img(?:\.js)?(?:$|[\s"'])/;

/** npm says in `npm_lifecycle_script` what it runs, for `npx` and for the scripts of a package (measured with npm 7 to 11). */
export function ownNameIn(environment: Environment): OwnName {
  return COMMAND.test(environment['npm_lifecycle_script'] ?? '') ? 'npx text2img' : 'text2img';
}

/** Sentences name commands in quotes or behind a colon: `"text2img doctor"`. @returns the sentence with the commands as this user types them */
export function asTyped(text: string, ownName: OwnName): string {
  return ownName === 'text2img' ? text : text.replaceAll(/("|: )text2img (?=[a-z-])/g, `$1${ownName} `);
}

/** A line that the user may type: `my-script | text2img enqueue -`. @returns the line as this user types it */
export function lineAsTyped(line: string, ownName: OwnName): string {
  return line.replace(/(^|\| )text2img(?= |$)/, `$1${ownName}`);
}
