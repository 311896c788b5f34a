/** The file of API keys that all servers of the chaos test read. */
import { writeFile } from 'node:fs/promises';
import { hashOfSecret, keyLineText, newSecret } from '../../../src/http/keys/key-lines.ts';
import { KEY_NAMES, type KeyName, MAX_OPEN_OF_LIMITED } from '../settings.ts';

export class Keys {
  readonly file: string;
  readonly #secrets: ReadonlyMap<KeyName, string>;

  private constructor(file: string, secrets: ReadonlyMap<KeyName, string>) {
    this.file = file;
    this.#secrets = secrets;
  }

  static async write(file: string): Promise<Keys> {
    const secrets = new Map(KEY_NAMES.map((name) => [name, newSecret()]));
    const lines = Array.from(secrets, ([name, secret]) => {
      const limits = name === 'limited' ? { maxOpen: MAX_OPEN_OF_LIMITED } : {};
      return keyLineText({ key: { name, isAdmin: false, limits }, hash: hashOfSecret(secret) });
    });
    await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
    return new Keys(file, secrets);
  }

  secretOf(name: KeyName): string {
    return this.#secrets.get(name) ?? '';
  }
}
