/** The commands that README and the help tell people to type, read from the texts themselves. */

/** Programs that our texts start. */
const PROGRAM = /^(?:npx|npm|docker|node|text2img)(?: |$)/;
const FENCE = /^```(?:sh|bash)\n([\s\S]*?)^```$/gm;
const SPAN = /`([^`\n]+)`/g;

/** The same command, however it is started: pages begin with `npx` where the command is not on the path. */
export function plainCommand(line: string): string {
  return line.replace(/^npx (?:--no-install )?/, '');
}

/** Each once: the lines of its blocks for a shell, and the spans of its sentences and tables. */
export function commandsOfPage(page: string): readonly string[] {
  const blocks = [...page.matchAll(FENCE)].flatMap(([, block = '']) => linesOfBlock(block));
  const prose = page.replaceAll(/^```[\s\S]*?^```$/gm, '');
  const spans = prose.split('\n').flatMap(commandsOfLine);
  return [...new Set([...blocks, ...spans])];
}

function linesOfBlock(block: string): readonly string[] {
  return block
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.replace(/ +#.*$/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** A table's row names a command once and then its other words: `text2img jobs list`, `show ID`. */
function commandsOfLine(line: string): readonly string[] {
  const spans = [...line.matchAll(SPAN)].map(([, span = '']) => span);
  const [, group = '', action] = /^\| `(?:npx )?text2img (\w+)(?: (\w+))?/.exec(line) ?? [];
  const isRow = group !== '';
  return spans.flatMap((span) => {
    if (PROGRAM.test(span)) return withOptional(span);
    if (!isRow || !/^[a-z]+(?: |$)/.test(span)) return [];
    const words = span.startsWith(`${group} `) || action === undefined ? span : `${group} ${span}`;
    return withOptional(`text2img ${words}`);
  });
}

/** `redrive [ID]` is two commands. */
function withOptional(command: string): readonly string[] {
  const optional = / \[([^\]]+)\]$/.exec(command);
  if (optional === null) return [command];
  const without = command.slice(0, optional.index);
  return [without, `${without} ${optional[1]}`];
}

/** The examples at the end of a command's help. */
export function examplesOfHelp(help: string): readonly string[] {
  const [, after = ''] = /\nExamples:\n([\s\S]*?)(?:\n\S|$)/.exec(`${help}\n`) ?? [];
  return after.split('\n').flatMap((line) => /^ {2}(\S.*)$/.exec(line)?.[1] ?? []);
}
