/**
 * Hands our settings to Google's client, which reads its key file and its proxies from the environment of the process. Nothing else covers all its
 * requests: `keyFilename` prints a warning, and the token services make clients of their own. No other file writes there.
 */

/** Each of `variables` replaces the value that the process was given; nothing else changes. */
export function giveToGoogle(variables: Readonly<Record<string, string>>): void {
  Object.assign(process.env, variables);
}
