/**
 * How a component's config.json is read. For each class three lists: keys that are implemented (a zod schema), keys that are known to have
 * no effect on inference (with the reason), and keys whose other values are refused by name. A key that the class does not have is a
 * warning, because real checkpoints carry keys of other classes.
 */
import type { z } from 'zod';
import { Text2ImgError } from '../../errors/text2img-error.ts';

export interface ConfigRules<T> {
  readonly className: string;
  /** Keys that are read; a sparse old file gets the class's own defaults from here. */
  readonly implemented: z.ZodType<T>;
  /** The keys of `implemented`. */
  readonly implementedKeys: readonly string[];
  /** Key → why it does not matter. */
  readonly withoutEffect: Readonly<Record<string, string>>;
  /** Key → the values that mean "off"; any other value is refused. */
  readonly onlyDefault: Readonly<Record<string, readonly unknown[]>>;
}

export interface ReadConfig<T> {
  readonly config: T;
  readonly warnings: readonly string[];
}

/**
 * @param where the file, for messages
 * @throws `invalid_config`, `unsupported_config`
 */
export function readConfig<T>(
  rules: ConfigRules<T>,
  json: Readonly<Record<string, unknown>>,
  where: string,
): ReadConfig<T> {
  const warnings: string[] = [];
  for (const [key, value] of Object.entries(json)) {
    if (key.startsWith('_') || rules.implementedKeys.includes(key) || Object.hasOwn(rules.withoutEffect, key)) continue;
    const allowed = rules.onlyDefault[key];
    if (allowed === undefined) {
      warnings.push(`${where}: ${rules.className} has no key "${key}"; it is ignored.`);
    } else if (!allowed.some((candidate) => JSON.stringify(candidate) === JSON.stringify(value))) {
      const list = allowed.map((candidate) => JSON.stringify(candidate)).join(', ');
      throw new Text2ImgError(
        'unsupported_config',
        `${where}: "${key}" is ${JSON.stringify(value)}, which is not implemented; allowed: ${list}.`,
      );
    }
  }
  const result = rules.implemented.safeParse(json);
  if (!result.success) throw configError(result.error, json, where);
  return { config: result.data, warnings };
}

function configError(error: z.ZodError, json: Readonly<Record<string, unknown>>, where: string): Text2ImgError {
  const issue = error.issues[0];
  const key = String(issue?.path[0] ?? '');
  const value = JSON.stringify(json[key]);
  const stated = json[key] === undefined ? `"${key}" is missing` : `"${key}" is ${value}`;
  // A value of the right type that is none of those implemented is the checkpoint's choice, not a mistake in the file.
  const unsupported = issue?.code === 'invalid_value' && json[key] !== undefined;
  return new Text2ImgError(
    unsupported ? 'unsupported_config' : 'invalid_config',
    `${where}: ${stated}; ${issue?.message ?? 'not allowed'}.`,
  );
}
