/**
 * The command line's grammar, made from the table of options: commands, arguments, help with examples. What the commands do is theirs.
 */
import { Command, CommanderError, Option, type ParseOptions } from 'commander';
import type { Flags } from '../config/parse.ts';
import {
  type CommandName,
  environmentNameOf,
  flagOf,
  OPTIONS,
  type OptionName,
  type OptionSpec,
  optionsOf,
} from '../config/options.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { nearestName } from '../lib/nearest-name.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { VERSION } from '../version.ts';
import { EXAMPLES, EXIT_CODES_HELP } from './help-texts.ts';
import { describeUsageError } from './usage-errors.ts';

/** What was typed: the command's path and everything behind it. */
export interface Invocation {
  readonly command: CommandName;
  /** `list` of `jobs list`. */
  readonly action?: string;
  readonly operand?: string;
  readonly flags: Flags;
}

interface CommandShape {
  readonly command: CommandName;
  readonly action?: string;
  readonly description: string;
  readonly operand?: string;
}

const SHAPES: readonly CommandShape[] = [
  {
    command: 'run',
    description: 'Draw the queue’s prompts and exit; with --watch wait for more. The default command.',
  },
  { command: 'generate', description: 'Draw one prompt, without a queue.' },
  {
    command: 'enqueue',
    operand: '[file]',
    description: 'Add prompts to the queue: --prompt, or JSON lines from a file or - (standard input).',
  },
  { command: 'jobs', action: 'list', description: 'List the queue’s jobs.' },
  { command: 'jobs', action: 'show', operand: '<id>', description: 'Show one job.' },
  { command: 'jobs', action: 'retry', operand: '<id>', description: 'Draw a finished job again.' },
  { command: 'jobs', action: 'cancel', operand: '<id>', description: 'Cancel a job that is queued or being drawn.' },
  { command: 'webhooks', action: 'list', description: 'List webhooks: pending, delivered or failed for good.' },
  { command: 'webhooks', action: 'deliver', description: 'Send the webhooks that are due, without generating.' },
  {
    command: 'webhooks',
    action: 'redrive',
    operand: '[id]',
    description: 'Retry one failed webhook, or all of them.',
  },
  { command: 'models', action: 'pull', operand: '<id>', description: 'Download a model from the hub into the cache.' },
  { command: 'models', action: 'list', description: 'List the models in the cache.' },
  { command: 'models', action: 'show', operand: '<id>', description: 'Show one model of the cache.' },
  { command: 'doctor', description: 'Check this machine and suggest fixes.' },
  { command: 'health', description: 'Check that a worker is alive, by the age of its health file.' },
  {
    command: 'setup',
    action: 'cuda',
    description: 'Download the libraries for NVIDIA GPUs and check their checksums.',
  },
];

const GROUP_DESCRIPTIONS: Partial<Record<CommandName, string>> = {
  jobs: 'List, show, retry and cancel jobs.',
  webhooks: 'List, send and retry webhooks.',
  models: 'Manage models of the Hugging Face hub, in the cache that the Python tools share.',
  setup: 'Download optional components.',
};

/** Looks at the words before commander does, which would take a mistyped command for an argument of the default one. */
class Program extends Command {
  override async parseAsync(args: readonly string[] = [], options?: ParseOptions): Promise<this> {
    refuseUnknownCommand(this, args);
    return await super.parseAsync(args, options);
  }
}

/** @throws `unknown_option` with the command that was perhaps meant */
function refuseUnknownCommand(program: Command, args: readonly string[]): void {
  const [word, action] = args;
  if (word === undefined || word.startsWith('-')) return;
  const group = program.commands.find((one) => one.name() === word);
  if (group === undefined) {
    if (word !== 'help') throw unknownCommand(word, meantBy(program, word));
    return;
  }
  if (group.commands.length === 0 || action === undefined || action.startsWith('-') || action === 'help') return;
  const actions = group.commands.map((one) => one.name());
  if (actions.includes(action)) return;
  const near = nearestName(action, actions);
  throw unknownCommand(
    `${word} ${action}`,
    (near === undefined ? actions : [near]).map((one) => `${word} ${one}`),
  );
}

/** `list` alone may be of any group that has such an action. */
function meantBy(program: Command, word: string): readonly string[] {
  const groups = program.commands.filter((group) => group.commands.some((one) => one.name() === word));
  if (groups.length > 0) return groups.map((group) => `${group.name()} ${word}`);
  const near = nearestName(
    word,
    program.commands.map((one) => one.name()),
  );
  return near === undefined ? [] : [near];
}

function unknownCommand(typed: string, meant: readonly string[]): Text2ImgError {
  const advice = meant.length === 0 ? '' : ` Did you mean ${meant.map((one) => `"text2img ${one}"`).join(' or ')}?`;
  return new Text2ImgError('unknown_option', `There is no command ${quote(typed)}.${advice} See "text2img --help".`);
}

/** @returns undefined where help or the version was asked for and printed @throws `unknown_option`, `invalid_option`, `conflicting_options` */
export async function parseArguments(args: readonly string[]): Promise<Invocation | undefined> {
  let invocation: Invocation | undefined;
  const program = buildProgram((found) => {
    invocation = found;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return invocation;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw describeUsageError(error);
  }
}

export function buildProgram(act: (invocation: Invocation) => void): Command {
  const program = new Program('text2img')
    .description('Draws prompts with Stable Diffusion, straight from safetensors.')
    .version(VERSION, '-V, --version', 'Print the version.')
    .helpOption('-h, --help', 'Show this help.')
    .addHelpText('after', `\n${EXIT_CODES_HELP}\n\nMore: text2img <command> --help`);
  const groups = new Map<CommandName, Command>();
  for (const shape of SHAPES) {
    const parent = shape.action === undefined ? program : groupOf(program, groups, shape.command);
    addCommand(parent, shape, act);
  }
  // After the subcommands, because they copy these settings from their parent when they are made.
  for (const command of [program, ...program.commands, ...program.commands.flatMap((group) => group.commands)]) {
    command.exitOverride().configureOutput({ writeErr: () => {} });
  }
  return program;
}

function groupOf(program: Command, groups: Map<CommandName, Command>, name: CommandName): Command {
  const existing = groups.get(name);
  if (existing !== undefined) return existing;
  const group = program.command(name).description(GROUP_DESCRIPTIONS[name] ?? '');
  addExamples(group, name);
  groups.set(name, group);
  return group;
}

function addCommand(parent: Command, shape: CommandShape, act: (invocation: Invocation) => void): void {
  const command = parent
    .command([shape.action ?? shape.command, shape.operand].filter((part) => part !== undefined).join(' '), {
      isDefault: shape.command === 'run',
    })
    .description(shape.description)
    // Refused below, with the argument's name.
    .allowExcessArguments(true);
  for (const name of optionsOf(shape.command)) addOption(command, name);
  addExamples(command, shape.command);
  command.action(() => {
    const [operand] = shape.operand === undefined ? [] : command.args;
    refuseExcess(shape, command.args[shape.operand === undefined ? 0 : 1]);
    const flags = joinAliases(command.opts());
    act({
      command: shape.command,
      flags,
      ...omitUndefined({ action: shape.action, operand }),
    });
  });
}

function addOption(command: Command, name: OptionName): void {
  const spec: OptionSpec = OPTIONS[name];
  const flag = flagOf(name);
  const byDefault = spec.default === undefined || spec.placeholder === undefined ? '' : ` (default: ${spec.default})`;
  const documentation = `${spec.doc}${byDefault} [${environmentNameOf(name)}]`;
  if (spec.placeholder === undefined) {
    command.addOption(new Option(flag, documentation));
    command.addOption(new Option(flag.replace('--', '--no-')).hideHelp());
    return;
  }
  command.addOption(new Option(`${flag} ${spec.placeholder}`, documentation));
  if (spec.alias !== undefined)
    command.addOption(new Option(`${spec.alias} ${spec.placeholder}`, `Another name for ${flag}.`));
}

function addExamples(command: Command, name: CommandName): void {
  const examples = EXAMPLES[name].map(([line, meaning]) => `  ${line}\n      ${meaning}`);
  command.addHelpText('after', `\nExamples:\n${examples.join('\n')}`);
}

/** @throws `unknown_option` */
function refuseExcess({ command, action }: CommandShape, excess: string | undefined): void {
  if (excess === undefined) return;
  const isCommand = SHAPES.some((shape) => shape.command === excess);
  const advice = isCommand
    ? ` Put the command first: text2img ${excess} …`
    : command === 'run'
      ? ' "text2img enqueue" adds prompts from a file.'
      : '';
  const name = action === undefined ? command : `${command} ${action}`;
  throw new Text2ImgError(
    'unknown_option',
    `The command "${name}" has no place for the argument ${quote(excess)}.${advice} See "text2img ${name} --help".`,
  );
}

/** commander gives `--model-id` a name of its own. @throws `conflicting_options` when two names have different values */
function joinAliases({ modelId, ...flags }: Record<string, string | boolean | undefined>): Flags {
  if (modelId === undefined) return flags;
  const { model = modelId } = flags;
  if (model === modelId) return { ...flags, model };
  throw new Text2ImgError(
    'conflicting_options',
    `--model ${quote(model)} and --model-id ${quote(modelId)} are two names of one option; give one of them.`,
  );
}
