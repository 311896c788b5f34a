/** The text of docs/options.md, from the tables of options. */
import {
  COMMANDS,
  environmentNameOf,
  flagOf,
  OPTION_GROUPS,
  type OptionName,
  type OptionSpec,
} from '../src/config/options.ts';

export function optionPage(): string {
  return `# Options

This page is written by \`npx node scripts/write-option-page.ts\` from \`src/config/options/\`.

An option is a flag or an environment variable. A flag beats its variable. An empty variable counts as unset.

- Write \`--flag value\` or \`--flag=value\`. Use the second form for a value that begins with a dash.
- \`--size 768x512\` means \`--width 768 --height 512\`.
- A switch has no value: \`--watch\` turns it on, \`--no-watch\` turns it off. Its variable takes \`on\` or \`off\`, \`true\` or \`false\`, \`yes\` or \`no\`, \`1\` or \`0\`.
- A secret can also come from the file or pipe that \`<VARIABLE>_FILE\` names.
- The command comes first: \`text2img jobs list --json\`. Without a command, \`text2img\` means \`text2img run\`.

${OPTION_GROUPS.map(([heading, options]) => section(heading, options)).join('\n')}`;
}

function section(heading: string, options: Readonly<Record<string, OptionSpec>>): string {
  return `## ${heading}

| option | meaning | allowed | default | environment variable | commands |
|---|---|---|---|---|---|
${Object.entries(options)
  .map(([name, spec]) => `| ${cellsOf(name as OptionName, spec).join(' | ')} |`)
  .join('\n')}
`;
}

function cellsOf(name: OptionName, spec: OptionSpec): readonly string[] {
  const flag = [
    spec.placeholder === undefined && spec.default === 'on' ? flagOf(name).replace('--', '--no-') : flagOf(name),
    ...(spec.short === undefined ? [] : [spec.short]),
    ...(spec.aliases ?? []),
  ].map((one) => `\`${one}\``);
  const variable = environmentNameOf(name);
  return [
    flag.join(', '),
    escaped(meaningOf(spec)),
    escaped(spec.placeholder === undefined ? 'switch' : spec.allowed),
    escaped(defaultOf(spec)),
    spec.secret === true ? `\`${variable}\`, \`${variable}_FILE\`` : `\`${variable}\``,
    spec.commands.length === COMMANDS.length ? 'all' : spec.commands.map((one) => `\`${one}\``).join(', '),
  ];
}

/** The text of the help, without the facts that have a column. */
function meaningOf({ doc, allowed }: OptionSpec): string {
  return doc
    .replace(`(${allowed})`, '')
    .replace(`(${allowed}; `, '(')
    .replace(STATED_DEFAULT, '')
    .replaceAll(/\s+(?=\.|$)/g, '');
}

const STATED_DEFAULT = /\(default: ([^)]*)\)/;

function defaultOf({ doc, allowed, default: byDefault, placeholder }: OptionSpec): string {
  // A switch that is on has its `--no-…` in the table, which is off.
  if (placeholder === undefined) return 'off';
  const stated = STATED_DEFAULT.exec(doc.replace(`(${allowed}; `, '('))?.[1];
  return stated ?? (byDefault === undefined || byDefault === '' ? 'none' : `\`${byDefault}\``);
}

/** Inside a table's cell. */
function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
