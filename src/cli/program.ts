/**
 * The command line's grammar, made from the table of options: commands, arguments, help with examples. What the commands do is theirs.
 */
import { Command, Option } from 'commander';
import type { Flags } from '../config/load.ts';
import {
  type CommandName,
  environmentNameOf,
  flagOf,
  OPTIONS,
  type OptionName,
  type OptionSpec,
  optionsOf,
} from '../config/schema.ts';
import { VERSION } from '../version.ts';
import { EXAMPLES, EXIT_CODES_HELP } from './help-texts.ts';

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
  { command: 'webhooks', action: 'list', description: 'List the webhooks that are owed, delivered or given up.' },
  { command: 'webhooks', action: 'deliver', description: 'Send the webhooks that are due, without drawing.' },
  {
    command: 'webhooks',
    action: 'redrive',
    operand: '[id]',
    description: 'Make one webhook that was given up due again, or all of them.',
  },
  { command: 'models', action: 'pull', operand: '<id>', description: 'Fetch a model from the hub into the cache.' },
  { command: 'models', action: 'list', description: 'List the models in the cache.' },
  { command: 'models', action: 'show', operand: '<id>', description: 'Show one model of the cache.' },
  { command: 'doctor', description: 'Say what was found on this machine, and what to do about what is missing.' },
  { command: 'setup', action: 'cuda', description: 'Fetch the libraries for NVIDIA GPUs, by checksum.' },
];

const GROUP_DESCRIPTIONS: Partial<Record<CommandName, string>> = {
  jobs: 'Look at the queue’s jobs, retry and cancel them.',
  webhooks: 'Look at the webhooks, send them, take up again what was given up.',
  models: 'Models of the Hugging Face hub, in the cache that the Python tools share.',
  setup: 'Fetch what the package does not bring.',
};

export function buildProgram(act: (invocation: Invocation) => Promise<void>): Command {
  const program = new Command('text2img')
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

function addCommand(parent: Command, shape: CommandShape, act: (invocation: Invocation) => Promise<void>): void {
  const command = parent
    .command([shape.action ?? shape.command, shape.operand].filter((part) => part !== undefined).join(' '), {
      isDefault: shape.command === 'run',
    })
    .description(shape.description)
    .allowExcessArguments(false);
  for (const name of optionsOf(shape.command)) addOption(command, name);
  addExamples(command, shape.command);
  command.action(async () => {
    const [operand] = command.args;
    const flags = joinAliases(command.opts());
    await act({
      command: shape.command,
      flags,
      ...(shape.action === undefined ? {} : { action: shape.action }),
      ...(operand === undefined ? {} : { operand }),
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

/** commander gives `--model-id` a name of its own. */
function joinAliases({ modelId, ...flags }: Record<string, string | boolean | undefined>): Flags {
  return modelId === undefined ? flags : { model: modelId, ...flags };
}
