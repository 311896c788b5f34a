/**
 * The command line's grammar, made from the table of options: commands, arguments, help with examples. The commands themselves are in other files.
 */
import { Command, CommanderError, Option, type ParseOptions } from 'commander';
import type { ConfigSources, Flags } from '../config/parse.ts';
import {
  type CommandName,
  environmentNameOf,
  flagOf,
  OPTION_GROUPS,
  OPTIONS,
  type OptionName,
  type OptionSpec,
  optionsOf,
} from '../config/options.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { VERSION } from '../version.ts';
import type { ExitCode } from './command-context.ts';
import { aliasesOf, joinAliases, SIZE_FLAG, takesSize } from './flag-names.ts';
import { EXAMPLES, EXIT_CODES_HELP } from './help-texts.ts';
import { asTyped, lineAsTyped, type OwnName } from './own-name.ts';
import { HELP_WORDS, refuseUnknownCommand, withHelpFlag } from './unknown-command.ts';
import { describeUsageError, type TypedCommand } from './usage-errors.ts';

/** The typed command line: the command's path and everything behind it. */
export interface Invocation {
  readonly command: CommandName;
  /** `list` of `jobs list`. */
  readonly action?: string;
  readonly operand?: string;
  readonly flags: Flags;
  /** The alias that was typed for an option. */
  readonly spellings?: NonNullable<ConfigSources['spellings']>;
}

interface CommandShape {
  readonly command: CommandName;
  readonly action?: string;
  readonly description: string;
  readonly operand?: string;
  /** The operand is this option's value. */
  readonly operandIs?: OptionName;
}

const DEFAULT_SHAPE: CommandShape = {
  command: 'run',
  description: 'Generate the jobs in the queue and exit; with --watch wait for more. The default command.',
};

const SHAPES: readonly CommandShape[] = [
  DEFAULT_SHAPE,
  {
    command: 'serve',
    description: 'Answer HTTP requests for images; with the embedded queue generate them too.',
  },
  {
    command: 'mcp',
    description: 'Generate images for an agent over standard input and output (Model Context Protocol).',
  },
  { command: 'keys', action: 'create', operand: '<name>', description: 'Create an API key and print it once.' },
  { command: 'keys', action: 'list', description: 'List the names of the API keys.' },
  { command: 'keys', action: 'revoke', operand: '<name>', description: 'Revoke all API keys of a name.' },
  {
    command: 'generate',
    operand: '[prompt]',
    operandIs: 'prompt',
    description: 'Generate images for one prompt, without a queue.',
  },
  {
    command: 'enqueue',
    operand: '[file]',
    description:
      'Add prompts to the queue: --prompt, or a file (- is standard input) of JSON lines, a JSON array or one prompt a line.',
  },
  { command: 'jobs', action: 'list', description: 'List the jobs in the queue.' },
  { command: 'jobs', action: 'show', operand: '<id>', description: 'Show one job.' },
  {
    command: 'jobs',
    action: 'retry',
    operand: '[id]',
    description: 'Run a job again, or all jobs with --status error.',
  },
  { command: 'jobs', action: 'cancel', operand: '<id>', description: 'Cancel a job.' },
  { command: 'webhooks', action: 'list', description: 'List the webhooks: pending, delivered or dead.' },
  {
    command: 'webhooks',
    action: 'deliver',
    operand: '[id]',
    description: 'Send the webhooks that are due, without generating. With --now send pending ones at once.',
  },
  {
    command: 'webhooks',
    action: 'redrive',
    operand: '[id]',
    description: 'Retry one dead webhook, or all of them.',
  },
  { command: 'models', action: 'pull', operand: '<id>', description: 'Download a model from the hub into the cache.' },
  { command: 'models', action: 'list', description: 'List the models in the cache.' },
  { command: 'models', action: 'show', operand: '<id|file>', description: 'Show one model in the cache, or one file.' },
  { command: 'doctor', description: 'Check this machine and suggest fixes.' },
  { command: 'health', description: 'Check that a worker is alive, by the age of its health file.' },
  {
    command: 'setup',
    action: 'cuda',
    description: 'Download the libraries for NVIDIA GPUs and check their checksums.',
  },
  {
    command: 'setup',
    action: 'openvino',
    description: 'Download OpenVINO, a second runtime for the CPU, and check its checksums.',
  },
];

const GROUP_DESCRIPTIONS: Partial<Record<CommandName, string>> = {
  jobs: 'List, show, retry and cancel jobs.',
  webhooks: 'List, send and retry webhooks.',
  models: 'Download, list and show models of the Hugging Face hub.',
  setup: 'Download optional components.',
  keys: 'Create, list and revoke the API keys of a server.',
};

/** Looks at the words before commander does, which would take a mistyped command for an argument of the default one. */
class Program extends Command {
  override async parseAsync(args: readonly string[] = [], options?: ParseOptions): Promise<this> {
    const words = withHelpFlag(this, args);
    refuseUnknownCommand(this, words);
    return await super.parseAsync(words, options);
  }
}

/** Of a group without its action: its help was printed to standard error, and nothing was done. */
const NOTHING_DONE: ExitCode = 2;

/** @returns the exit code where help or the version was printed instead @throws `unknown_option`, `invalid_option`, `conflicting_options` */
export async function parseArguments(
  args: readonly string[],
  ownName: OwnName = 'text2img',
): Promise<Invocation | ExitCode> {
  let invocation: Invocation | undefined;
  const program = buildProgram(
    (found) => {
      invocation = found;
    },
    { withOptions: namedIn(args), ownName },
  );
  try {
    await program.parseAsync(withHelpLast(args), { from: 'user' });
    return invocation ?? 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    if (error.code === 'commander.help') return NOTHING_DONE;
    throw describeUsageError(error, typedCommand(args));
  }
}

/** `help jobs list` is `jobs list --help`: commander's own command for help knows one word only. */
function withHelpLast(args: readonly string[]): readonly string[] {
  return args.length > 2 && args[0] === 'help' ? [...args.slice(1), '--help'] : args;
}

function typedCommand([word, action]: readonly string[]): TypedCommand {
  const shape =
    SHAPES.find((one) => one.command === word && (one.action === undefined || one.action === action)) ?? DEFAULT_SHAPE;
  const [example] = examplesOf(shape).filter(([line]) => !/ (?:--|\[)/.test(line));
  return { command: shape.command, path: pathOf(shape), example: example?.[0] };
}

function pathOf({ command, action }: Pick<CommandShape, 'command' | 'action'>): string {
  return action === undefined ? command : `${command} ${action}`;
}

/** The commands that the words name; the default one where they name none and are more than a call for help. */
function namedIn(args: readonly string[]): ReadonlySet<CommandName> {
  const named = SHAPES.map(({ command }) => command).filter((command) => args.includes(command));
  const isPlainHelp = args.length === 1 && HELP_WORDS.includes(args[0] ?? '');
  return new Set(named.length === 0 && !isPlainHelp ? ['run'] : named);
}

export interface ProgramOptions {
  /** The commands that are given their options; all by default. 200 options cost a quarter of a call for help (measured). */
  readonly withOptions?: ReadonlySet<CommandName>;
  /** The help writes it for `text2img`. */
  readonly ownName?: OwnName;
}

export function buildProgram(
  act: (invocation: Invocation) => void,
  { withOptions, ownName = 'text2img' }: ProgramOptions = {},
): Command {
  const program = new Program(ownName)
    .description('Generate images from prompts with Stable Diffusion.')
    .version(VERSION, '-V, --version', 'Print the version.')
    .configureHelp({ subcommandTerm: termOf })
    .helpOption('-h, --help', 'Show this help.')
    .helpCommand('help [command]', 'Show the help of a command.')
    .addHelpText('after', `\n${EXIT_CODES_HELP}\n\nMore: ${ownName} <command> --help`);
  const groups = new Map<CommandName, Command>();
  for (const shape of SHAPES) {
    const parent = shape.action === undefined ? program : groupOf(program, { groups, ownName }, shape.command);
    addCommand(parent, shape, { act, ownName, hasOptions: withOptions?.has(shape.command) ?? true });
  }
  // After the subcommands, because they copy these settings from their parent when they are made.
  for (const command of [program, ...program.commands, ...program.commands.flatMap((group) => group.commands)]) {
    command.exitOverride().configureOutput({ outputError: () => {} });
  }
  return program;
}

/** `generate [prompt]`: every command takes options, so nothing is said of them. */
function termOf(command: Command): string {
  const operands = command.registeredArguments.map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`));
  return [command.name(), ...operands].join(' ');
}

function groupOf(
  program: Command,
  { groups, ownName }: { readonly groups: Map<CommandName, Command>; readonly ownName: OwnName },
  name: CommandName,
): Command {
  const existing = groups.get(name);
  if (existing !== undefined) return existing;
  const group = program.command(name).description(GROUP_DESCRIPTIONS[name] ?? '');
  addExamples(group, { command: name }, ownName);
  groups.set(name, group);
  return group;
}

interface Behaviour {
  readonly act: (invocation: Invocation) => void;
  readonly hasOptions: boolean;
  readonly ownName: OwnName;
}

function addCommand(parent: Command, shape: CommandShape, { act, hasOptions, ownName }: Behaviour): void {
  const command = parent
    .command([shape.action ?? shape.command, shape.operand].filter((part) => part !== undefined).join(' '), {
      isDefault: shape.command === 'run',
    })
    .description(shape.description)
    // Refused below, with the argument's name.
    .allowExcessArguments(true)
    .addHelpOption(new Option('-h, --help', 'Show this help.').helpGroup(groupHeadingOf('json')));
  if (hasOptions) for (const name of optionsOf(shape.command)) addOption(command, shape, { name, ownName });
  if (hasOptions && takesSize(shape.command)) command.addOption(new Option(`${SIZE_FLAG} <w>x<h>`).hideHelp());
  addExamples(command, shape, ownName);
  command.action(() => {
    const [operand] = shape.operand === undefined ? [] : command.args;
    refuseExcess(shape, command.args[shape.operand === undefined ? 0 : 1]);
    const { flags, spellings } = joinAliases(command.opts(), shape.command);
    const { operandIs } = shape;
    act({
      command: shape.command,
      flags: operandIs === undefined ? flags : withOperand(flags, operandIs, operand),
      ...omitUndefined({ spellings, action: shape.action, operand: operandIs === undefined ? operand : undefined }),
    });
  });
}

function addOption(
  command: Command,
  { action }: CommandShape,
  { name, ownName }: { readonly name: OptionName; readonly ownName: OwnName },
): void {
  const spec: OptionSpec = OPTIONS[name];
  const flag = flagOf(name);
  const isShown = action === undefined || (spec.actions?.includes(action) ?? true);
  const make = (flags: string, description: string): Option =>
    new Option(flags, description).helpGroup(groupHeadingOf(name)).hideHelp(!isShown);
  const byDefault = (spec.default ?? '') === '' || spec.placeholder === undefined ? '' : ` (default: ${spec.default})`;
  const documentation = `${asTyped(spec.doc, ownName)}${byDefault} [${environmentNameOf(name)}]`;
  if (spec.placeholder === undefined) {
    const isOn = spec.default === 'on';
    // In this order: commander takes a switch that it only knows as `--no-…` for given.
    command.addOption(make(flag, isOn ? '' : documentation).hideHelp(isOn || !isShown));
    command.addOption(make(flag.replace('--', '--no-'), isOn ? documentation : '').hideHelp(!isOn || !isShown));
    return;
  }
  const flags = spec.short === undefined ? flag : `${spec.short}, ${flag}`;
  command.addOption(make(`${flags} ${spec.placeholder}`, documentation));
  for (const alias of aliasesOf(name)) command.addOption(make(`${alias} ${spec.placeholder}`, '').hideHelp());
}

/** As commander prints it above the options of a group. */
function groupHeadingOf(name: OptionName): string {
  const [heading] = OPTION_GROUPS.find(([, options]) => name in options) ?? ['Options'];
  return `${heading}:`;
}

/** @param action undefined: the examples of all actions */
function examplesOf({ command, action }: Pick<CommandShape, 'command' | 'action'>): (typeof EXAMPLES)[CommandName] {
  return EXAMPLES[command].filter(([line]) => action === undefined || line.includes(`text2img ${command} ${action}`));
}

/** Of a group: the examples of all its actions. */
function addExamples(command: Command, shape: Pick<CommandShape, 'command' | 'action'>, ownName: OwnName): void {
  const examples = examplesOf(shape).map(([line, meaning]) => `  ${lineAsTyped(line, ownName)}\n      ${meaning}`);
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
      : command === 'generate'
        ? ' Write the prompt between quotes.'
        : '';
  const name = pathOf({ command, ...omitUndefined({ action }) });
  throw new Text2ImgError(
    'unknown_option',
    `The command "${name}" has no place for the argument ${quote(excess)}.${advice} See "text2img ${name} --help".`,
  );
}

/** @throws `conflicting_options` when the flag says another value */
function withOperand(flags: Flags, name: OptionName, operand: string | undefined): Flags {
  if (operand === undefined) return flags;
  const { [name]: stated = operand } = flags;
  if (stated === operand) return { ...flags, [name]: operand };
  throw new Text2ImgError(
    'conflicting_options',
    `The ${name} is ${quote(operand)}, and ${flagOf(name)} says ${quote(stated)}; give one of them.`,
  );
}
