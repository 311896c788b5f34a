/** The variables that `huggingface_hub` reads, with its defaults. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Environment, processEnvironment } from './environment.ts';

/** As the service of this contract has had it for long; the hub knows where it lives today. */
export const DEFAULT_PRODUCTION_MODEL = 'runwayml/stable-diffusion-v1-5';

export interface HubEnvironment {
  readonly endpoint: string;
  /** `<HF_HOME>/hub`, shared with the Python tools. */
  readonly cacheFolder: string;
  readonly token: string | undefined;
  readonly offline: boolean;
}

/** The variables that `huggingface_hub` reads, with its defaults; the token also out of the file that its sign-in leaves. */
export function hubEnvironment(environment: Environment = processEnvironment()): HubEnvironment {
  const stated = (name: string): string | undefined => (environment[name] === '' ? undefined : environment[name]);
  const cacheHome = stated('XDG_CACHE_HOME') ?? join(homedir(), '.cache');
  const home = stated('HF_HOME') ?? join(cacheHome, 'huggingface');
  const tokenFile = stated('HF_TOKEN_PATH') ?? join(home, 'token');
  return {
    endpoint: (stated('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, ''),
    cacheFolder: stated('HF_HUB_CACHE') ?? join(home, 'hub'),
    token:
      stated('HF_TOKEN') ??
      stated('HUGGING_FACE_HUB_TOKEN') ??
      (existsSync(tokenFile) ? readToken(tokenFile) : undefined),
    offline: /^(?:1|true|yes|on)$/i.test(environment['HF_HUB_OFFLINE'] ?? ''),
  };
}

function readToken(file: string): string | undefined {
  try {
    const token = readFileSync(file, 'utf8').trim();
    return token === '' ? undefined : token;
  } catch {
    // Another user's: then there is none for us.
    return undefined;
  }
}
