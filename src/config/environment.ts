/** The variables that a process was given. `cli/entry.ts` reads `process.env`; everybody else is handed an `Environment`. */

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A variable without the white space at its ends, which a secret made by `echo` or a line of an env file brings along. An empty one is unset, and
 * so is one that Kubernetes wrote.
 */
export function stated(environment: Environment, name: string): string | undefined {
  const value = (Object.hasOwn(environment, name) ? environment[name] : undefined)?.trim();
  return value === undefined || value === '' || isOfKubernetes(name, value) ? undefined : value;
}

/**
 * For each Service of its namespace Kubernetes gives every container such variables; one of a Service called `text2img…` begins like ours.
 * Source: kubernetes.io/docs/concepts/services-networking/service/#environment-variables.
 */
export function isOfKubernetes(name: string, value: string): boolean {
  if (/_SERVICE_(?:HOST|PORT(?:_\w+)?)$/.test(name) || /_PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?$/.test(name)) return true;
  return name.endsWith('_PORT') && /^(?:tcp|udp|sctp):\/\//.test(value);
}
