/** What the process was given in its environment. Nobody else reads `process.env`; everybody else is handed an `Environment`. */

export type Environment = Readonly<Record<string, string | undefined>>;

/** This process's variables; the object is the process's own, so that what is written into it reaches libraries that read it themselves. */
export function processEnvironment(): Record<string, string | undefined> {
  return process.env;
}
