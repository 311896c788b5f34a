/** Reads `scheduler_config.json`, for the checkpoint's own scheduler and for another one that a request asks for. */
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type ReadConfig, readConfig } from '../lib/config-rules.ts';
import { quote } from '../lib/foreign-text.ts';
import { reasonAgainst } from './refused-names.ts';
import { SCHEDULERS, schedulerClassOf } from './registry.ts';
import type { SchedulerClass, SchedulerConfig } from './scheduler.ts';

/** The checkpoint's own scheduler. @throws `unsupported_class`, `unsupported_config`, `invalid_config` */
export function readSchedulerConfig(
  className: string,
  json: SchedulerConfig,
  where: string,
): ReadConfig<SchedulerConfig> {
  const scheduler = schedulerClassOf(className);
  if (scheduler === undefined) {
    const reason = reasonAgainst(className);
    throw new Text2ImgError(
      'unsupported_class',
      `${where}: the scheduler class ${quote(className)} is not implemented${reason === undefined ? '' : `, because ${reason}`}; allowed: ${SCHEDULERS.map((known) => known.className).join(', ')}.`,
    );
  }
  const { warnings } = readConfig({ className, rules: scheduler.rules(z) }, json, where);
  return { config: json, warnings };
}

/**
 * The configuration for another class than the checkpoint's own, from the same file. It holds only the keys that the class has rules for, and they
 * must follow these rules.
 * @throws `invalid_parameter`, because it was the request that asked for this class
 */
export function carriedSchedulerConfig(scheduler: SchedulerClass, json: SchedulerConfig): SchedulerConfig {
  const { className } = scheduler;
  const rules = scheduler.rules(z);
  const carried = Object.entries(json).filter(
    ([key]) => rules.implementedKeys.includes(key) || Object.hasOwn(rules.onlyDefault, key),
  );
  const config = Object.fromEntries(carried);
  try {
    readConfig(
      { className, rules },
      config,
      `the scheduler ${className} cannot be used with this model's scheduler_config.json`,
    );
  } catch (error) {
    throw new Text2ImgError('invalid_parameter', Text2ImgError.from(error).message, { cause: error });
  }
  return config;
}
