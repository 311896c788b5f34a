/** A command that does not exist is answered with the one that was perhaps meant. */
import type { Command } from 'commander';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { eitherText } from '../lib/either-text.ts';
import { quote } from '../lib/foreign-text.ts';
import { nearestName } from '../lib/nearest-name.ts';

export const HELP_WORDS: readonly string[] = ['help', '-h', '--help'];
/** A command of other programs. */
const VERSION_WORD = 'version';

/** `help jobs list` and `jobs help list` are `jobs list --help`: commander's own word takes one command only. */
export function withHelpFlag(program: Command, args: readonly string[]): readonly string[] {
  const [word, action] = args;
  const isOfGroup = action === 'help' && program.commands.some((one) => one.name() === word && one.commands.length > 0);
  if (word !== 'help' && !isOfGroup) return args;
  const wanted = [...args.slice(0, word === 'help' ? 0 : 1), ...args.slice(word === 'help' ? 1 : 2)];
  return [...wanted.filter((one) => one !== 'help'), '--help'];
}

/** @throws `unknown_option` with the command that was perhaps meant */
export function refuseUnknownCommand(program: Command, args: readonly string[]): void {
  const [word, action] = args;
  if (word === undefined || word.startsWith('-')) return;
  const group = program.commands.find((one) => one.name() === word);
  if (group === undefined) throw unknownCommand({ typed: word, meant: meantBy(program, word), help: '--help' });
  if (group.commands.length === 0 || action === undefined || HELP_WORDS.includes(action)) return;
  const actions = group.commands.map((one) => one.name());
  if (action.startsWith('-')) throw missingAction(word, actions);
  if (actions.includes(action)) return;
  const near = nearestName(action, actions);
  throw unknownCommand({
    typed: `${word} ${action}`,
    meant: (near === undefined ? actions : [near]).map((one) => `${word} ${one}`),
    help: `${word} --help`,
  });
}

/** `list` alone may be of any group that has such an action. */
function meantBy(program: Command, word: string): readonly string[] {
  const groups = program.commands.filter((group) => group.commands.some((one) => one.name() === word));
  if (groups.length > 0) return groups.map((group) => `${group.name()} ${word}`);
  const near = nearestName(word, [...program.commands.map((one) => one.name()), VERSION_WORD]);
  return near === undefined ? [] : [near === VERSION_WORD ? '--version' : near];
}

function missingAction(group: string, actions: readonly string[]): Text2ImgError {
  const each = eitherText(actions.map((action) => `"text2img ${group} ${action}"`));
  return new Text2ImgError(
    'unknown_option',
    `Options come after the command: ${each}. See "text2img ${group} --help".`,
  );
}

interface UnknownCommand {
  readonly typed: string;
  readonly meant: readonly string[];
  /** The words behind the program's name that print the help. */
  readonly help: string;
}

function unknownCommand({ typed, meant, help }: UnknownCommand): Text2ImgError {
  const advice =
    meant.length > 0
      ? ` Did you mean ${eitherText(meant.map((one) => `"text2img ${one}"`))}?`
      : /\s/.test(typed.trim())
        ? ' For an image of a prompt: text2img generate "a red circle".'
        : '';
  return new Text2ImgError('unknown_option', `There is no command ${quote(typed)}.${advice} See "text2img ${help}".`);
}
