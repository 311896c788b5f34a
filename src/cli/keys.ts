/** `text2img keys`: creates, lists and revokes API keys. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { createKey, listKeys, revokeKeys } from '../http/keys/edit-key-file.ts';
import type { ApiKey } from '../http/front/caller.ts';
import { countText } from '../lib/count-text.ts';
import { quote } from '../lib/foreign-text.ts';
import { type CommandContext, type ExitCode, printResult } from './command-context.ts';

export interface KeysInvocation {
  /** One of `program.ts`'s actions. */
  readonly action: string;
  readonly name: string;
}

export async function keys(context: CommandContext, { action, name }: KeysInvocation): Promise<ExitCode> {
  const { config, terminal } = context;
  const path = config.apiKeys;
  if (path === undefined)
    throw new Text2ImgError('conflicting_options', `Name the key file: text2img keys ${action} --api-keys FILE.`);
  switch (action) {
    case 'create': {
      const key = await createKey(path, name, { isAdmin: config.admin });
      printResult(context, { json: { name, admin: config.admin, key }, text: key });
      if (!config.json) terminal.line(`Keep this key now: it cannot be shown again. Its hash is in ${quote(path)}.`);
      return 0;
    }
    case 'revoke': {
      const revoked = await revokeKeys(path, name);
      printResult(context, { json: { name, revoked }, text: `${countText(revoked, 'key', 'keys')} revoked` });
      return 0;
    }
    default: {
      for (const { name: keyName, isAdmin, limits } of await listKeys(path))
        printResult(context, {
          json: { name: keyName, admin: isAdmin, limits },
          text: rowOf({ name: keyName, isAdmin, limits }),
        });
      return 0;
    }
  }
}

function rowOf({ name, isAdmin, limits }: ApiKey): string {
  const { maxPending, maxOpen, maxImages, maxPixels } = limits;
  const words = [
    name,
    ...(isAdmin ? ['admin'] : []),
    ...(maxPending === undefined ? [] : [`max_pending=${maxPending}`]),
    ...(maxOpen === undefined ? [] : [`max_open=${maxOpen}`]),
    ...(maxImages === undefined ? [] : [`max_images=${maxImages}`]),
    ...(maxPixels === undefined ? [] : [`max_pixels=${maxPixels}`]),
  ];
  return words.join('  ');
}
