/** The settings of a checkpoint's scheduler, for people: those that its class reads and that its configuration states. */
import { z } from 'zod';
import { own } from '../lib/foreign-record.ts';
import { schedulerClassOf } from './registry.ts';
import type { SchedulerConfig } from './scheduler.ts';

export interface ShownSettings {
  /** The value that the network predicts. All classes of diffusers take epsilon where the configuration does not say. */
  readonly prediction: string;
  /** Keys of `scheduler_config.json`. All others have the class's defaults. */
  readonly stated: SchedulerConfig;
  /** Those of them that switch something on, in one line. */
  readonly text: string;
}

const PREDICTION = 'prediction_type';

/** @param config as the rules of the class allow it */
export function shownSettings(className: string, config: SchedulerConfig): ShownSettings {
  const keys = schedulerClassOf(className)?.rules(z).implementedKeys ?? [];
  const stated = keys.flatMap((key) => {
    const value = own(config, key);
    return value === undefined ? [] : [[key, value] as const];
  });
  const isOn = ([key, value]: readonly [string, unknown]): boolean =>
    key !== PREDICTION && value !== false && value !== null;
  return {
    prediction: shown(own(config, PREDICTION) ?? 'epsilon'),
    stated: Object.fromEntries(stated),
    text: stated
      .filter(isOn)
      .map(([key, value]) => `${key} ${shown(value)}`)
      .join(', '),
  };
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return `of ${value.length} numbers`;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
