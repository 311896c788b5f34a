/** The environment of child processes. */
import { type Environment, processEnvironment } from './environment.ts';

/** This process's environment with `folder` as the first entry of a search path, for a child. */
export function environmentWithFirst(
  variable: string,
  folder: string,
  environment: Environment = processEnvironment(),
): Environment {
  const before = environment[variable];
  return { ...environment, [variable]: before === undefined || before === '' ? folder : `${folder}:${before}` };
}
