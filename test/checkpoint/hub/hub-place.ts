/** A hub of our own with the demo checkpoint, and an empty cache, for tests that fetch. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { FetchCheckpointOptions } from '../../../src/checkpoint/hub/fetch-checkpoint.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { HubServer, TOKEN } from '../../servers/hub-server.ts';

export const DEMO = fileURLToPath(new URL('../../../models/demo', import.meta.url));
export const HUB_ID = { id: 'owner/demo', revision: 'main' };
export const UNET = 'unet/diffusion_pytorch_model.safetensors';

/** The demo checkpoint, with what lies about in real repositories. */
export function demoFiles(): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const name of readdirSync(DEMO, { recursive: true, encoding: 'utf8' }))
    if (statSync(join(DEMO, name)).isFile()) files.set(name.replaceAll('\\', '/'), readFileSync(join(DEMO, name)));
  files.set('v1-5-pruned.safetensors', Buffer.from('the same once more'));
  files.set('unet/diffusion_pytorch_model.bin', Buffer.from('a pickle'));
  files.set('safety_checker/model.safetensors', Buffer.from('not run'));
  files.set('unet/diffusion_pytorch_model.non_ema.safetensors', Buffer.from('another variant'));
  return files;
}

export interface Place {
  readonly hub: HubServer;
  readonly cacheFolder: string;
  readonly options: FetchCheckpointOptions;
}

export async function makePlace(t: TestContext, changes: Partial<FetchCheckpointOptions> = {}): Promise<Place> {
  const hub = await HubServer.start();
  hub.repositories.set('owner/demo', { files: demoFiles() });
  const cacheFolder = await mkdtemp(join(tmpdir(), 'text2img-hub-'));
  t.after(async () => {
    await hub[Symbol.asyncDispose]();
    await rm(cacheFolder, { recursive: true, force: true });
  });
  const access = { endpoint: hub.url, token: undefined };
  return {
    hub,
    cacheFolder,
    options: {
      cacheFolder,
      access,
      offline: false,
      variant: undefined,
      families: FAMILIES,
      logger: silentLogger,
      firstPauseMs: 1,
      ...changes,
    },
  };
}

export function failsWith(code: string, ...parts: readonly string[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Text2ImgError, String(error));
    assert.equal(error.code, code, error.message);
    for (const part of parts) assert.ok(error.message.includes(part), error.message);
    assert.ok(!error.message.includes(TOKEN));
    return true;
  };
}
