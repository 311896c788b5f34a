/** Names of schedulers and schedules, as far as their letters and digits say it. */

/** Longer texts are no names, and nobody should wait for their comparison. */
const MAX_NAME_LENGTH = 100;

/** `DPM++ 2M Karras`, `dpm++_2m-karras` and `DPM 2M karras` are one name. A text that is too long stays as it is. */
export function plainName(name: string): string {
  return name.length > MAX_NAME_LENGTH ? name : name.toLowerCase().replaceAll(/[\s_+-]+/g, '');
}
