/** What a test says of a scheduler whose vectors are missing or incomplete: the case to write, and the command that follows. */

/** @param name the class's */
function fileOf(name: string): string {
  return `test/schedulers/vectors/${name}.json`;
}

function fillCommand(name: string): string {
  return (
    `run: .venv/bin/python reference/fill_scheduler_vectors.py ${fileOf(name)} ` +
    '(reference/README.md says how .venv is made)'
  );
}

/** @param name the class's */
export function noVectors(name: string): string {
  return (
    `no vectors of ${name}; write its cases into ${fileOf(name)}, such as [{"scheduler": "${name}", "config": {}, "steps": 7}, ` +
    `{"scheduler": "${name}", "config": {}, "steps": 10, "strength": 0.6}], then ${fillCommand(name)}`
  );
}

/** The inputs of one loop, and whether diffusers' output stands beside them. */
interface Case {
  readonly config: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

interface OptionsOfClass {
  readonly className: string;
  readonly keys: readonly string[];
  readonly takes: readonly string[];
}

/** One function reads each of these for all classes. The vectors of some classes have them. */
const READ_FOR_ALL = ['num_train_timesteps', 'trained_betas', 'dynamic_thresholding_ratio'];

/** @returns the first thing that the cases lack, as a sentence with the next command; undefined when they are complete */
export function missingCase({ className, keys, takes }: OptionsOfClass, cases: readonly Case[]): string | undefined {
  const empty = cases.findIndex((vector) => vector['result'] === undefined);
  if (empty !== -1)
    return `case ${empty + 1} of ${fileOf(className)} has no output of diffusers yet; ${fillCommand(className)}`;
  const add = (what: string): string => `add one to ${fileOf(className)}: ${what}; then ${fillCommand(className)}`;
  const argument = [...takes, 'strength'].find((name) => cases.every((vector) => vector[name] === undefined));
  if (argument !== undefined)
    return `no case of ${className} has "${argument}"; ${add(`"${argument}" beside "config"`)}`;
  const key = keys.find((name) => !READ_FOR_ALL.includes(name) && cases.every(({ config }) => !(name in config)));
  if (key !== undefined)
    return `no case of ${className} sets "${key}", which the class reads; ${add(`"${key}" in "config"`)}`;
  return undefined;
}
