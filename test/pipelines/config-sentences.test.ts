/** A wrong value in a configuration is refused in our sentence, whatever key of whatever class it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { type ConfiguredClass, readConfig } from '../../src/lib/config-rules.ts';
import { quote } from '../../src/lib/foreign-text.ts';
import type { NetworkClass } from '../../src/networks/network-class.ts';
import { FAMILIES } from '../../src/pipelines/registry.ts';
import { SCHEDULERS } from '../../src/schedulers/registry.ts';

const BAD: readonly unknown[] = ['x', 1e9, -1e9, 0.5, Number.NaN, [], {}, ['x', 'y'], [{}]];

// A class's rules read any object; the types of its configuration do not matter here.
const networks = FAMILIES.flatMap(({ components }) =>
  components.flatMap((spec) => (spec.kind === 'network' ? (spec.classes as readonly NetworkClass[]) : [])),
);
const schedulers = SCHEDULERS.map(({ className, rules }) => ({ className, rules: rules(z) }));
const classes = new Map<string, ConfiguredClass<unknown>>(
  [...networks, ...schedulers].map((one) => [one.className, one as ConfiguredClass<unknown>]),
);

function refusalOf(of: ConfiguredClass<unknown>, key: string, value: unknown): string | undefined {
  try {
    readConfig(of, { [key]: value }, 'config.json');
  } catch (error) {
    return Text2ImgError.from(error).message;
  }
  return undefined;
}

for (const of of classes.values())
  test(`${of.className}: a wrong value is quoted, and the sentence says what is allowed`, () => {
    let refused = 0;
    for (const key of of.rules.implementedKeys)
      for (const value of BAD) {
        const message = refusalOf(of, key, value);
        if (message === undefined || message.includes('is missing')) continue;
        refused++;
        assert.doesNotMatch(message, /Invalid|[Ee]xpected|received|Too (?:small|big)|undefined|object Object/);
        const [said, ...rest] = message.split('; ');
        if (said === `config.json: "${key}" is ${quote(value)}`)
          assert.match(rest.join('; '), /allowed|needed/, message);
        // A sentence about keys that do not fit together.
        else assert.match(message, /allowed|must|leave|does not divide/, message);
      }
    assert.ok(refused >= of.rules.implementedKeys.length, `${refused} values were refused`);
  });

for (const [key, value, says] of [
  ['prediction_type', 'flow', '"prediction_type" is "flow"; allowed: "epsilon", "sample", "v_prediction".'],
  ['beta_start', 'much', '"beta_start" is "much"; a number is needed.'],
  ['beta_start', 2, '"beta_start" is 2; allowed are numbers up to 0.9999.'],
  ['num_train_timesteps', 0, '"num_train_timesteps" is 0; allowed are numbers above 0.'],
  ['use_karras_sigmas', 'yes', '"use_karras_sigmas" is "yes"; true or false is needed.'],
  ['trained_betas', {}, '"trained_betas" is {}; a list is needed.'],
] as const)
  test(`a scheduler’s "${key}" of ${JSON.stringify(value)}: ${says}`, () => {
    const euler = classes.get('EulerDiscreteScheduler');
    assert.ok(euler !== undefined);
    assert.equal(refusalOf(euler, key, value), `config.json: ${says}`);
  });
