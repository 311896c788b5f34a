/** Which files of a repository are one network: an autoencoder of its own, or the one of a whole checkpoint. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import { chooseWeightFile, shardsOf } from '../weight-files.ts';
import type { HubFile } from './hub-answers.ts';
import { othersOf } from './single-files.ts';

export interface HubComponent {
  /** Its folder in a whole checkpoint: `vae`. */
  readonly name: string;
  /** The beginning of its weight files' names. */
  readonly baseName: string;
}

interface WantedComponent {
  /** The repository's name, for messages. */
  readonly id: string;
  readonly component: HubComponent;
  readonly variant: string | undefined;
}

interface ComponentChoice {
  /** In the repository; empty: its root. */
  readonly folder: string;
  readonly files: readonly HubFile[];
}

/** @throws `model_not_found` where neither the root nor the component's folder has configuration and weights */
export function componentFiles(files: readonly HubFile[], wanted: WantedComponent): ComponentChoice {
  const { id, component } = wanted;
  for (const folder of ['', component.name]) {
    const names = namesOf(files, folder, wanted);
    if (names === undefined) continue;
    const paths = new Set(names.map((name) => pathOf(folder, name)));
    return { folder, files: files.filter(({ path }) => paths.has(path)) };
  }
  throw new Text2ImgError(
    'model_not_found',
    `the repository ${id} has no config.json with ${component.baseName}.safetensors, neither in its root nor in a folder "${component.name}". ${othersOf(files, id, '--vae')}`,
  );
}

function namesOf(
  files: readonly HubFile[],
  folder: string,
  { component, variant }: WantedComponent,
): readonly string[] | undefined {
  const start = pathOf(folder, '');
  const names = files.flatMap(({ path }) => (path.startsWith(start) ? [path.slice(start.length)] : []));
  const inFolder = names.filter((name) => !name.includes('/'));
  const { name, baseName } = component;
  const chosen = chooseWeightFile(inFolder, { component: name, baseName, ...omitUndefined({ variant }) });
  if (chosen === undefined || !inFolder.includes('config.json')) return undefined;
  const shards = chosen.kind === 'index' ? shardsOf(chosen, inFolder, baseName) : [];
  return ['config.json', chosen.name, ...shards];
}

function pathOf(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
