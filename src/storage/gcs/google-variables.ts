/**
 * The door between our settings and Google's client, which reads its key file and its proxies from the environment of the process and takes them in
 * no other way that covers all its requests (`keyFilename` prints a warning; the token services make clients of their own). Nobody else writes there.
 */

/** What stands in `variables` replaces what the process was given; nothing else changes. */
export function giveToGoogle(variables: Readonly<Record<string, string>>): void {
  Object.assign(process.env, variables);
}
