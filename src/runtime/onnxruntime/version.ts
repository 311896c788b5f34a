/** The version of the package `onnxruntime-node`. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

export function onnxRuntimeVersion(): string {
  const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
