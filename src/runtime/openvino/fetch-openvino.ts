/** `text2img setup openvino`: downloads OpenVINO's libraries for the CPU into our folder, or again where one of them is broken. */
import { type DownloadOptions, fetchWheels } from '../wheels/fetch-wheels.ts';
import { openvinoLibraryFolder, openvinoUnavailable, unsupported } from './library-folder.ts';
import { verifyLibraries } from './verify-libraries.ts';
import { OPENVINO_VERSION, type OpenvinoBuild, openvinoBuild } from './release.ts';

export interface FetchOpenvinoOptions extends DownloadOptions {
  /** Where the folder of libraries is made; see `openvinoLibraryFolder`. */
  readonly dataHome: string;
  readonly build?: OpenvinoBuild | undefined;
  /** Called before anything is downloaded. @param problem of the libraries that are there */
  readonly onBegin?: (build: OpenvinoBuild, problem: string | undefined) => void;
}

export interface FetchedOpenvino {
  readonly folder: string;
  /** `present`: all were there, and their checksums are right. `mended`: one of them was missing or broken. */
  readonly result: 'present' | 'downloaded' | 'mended';
}

/** @throws `download_failed`, `runtime_unavailable`, `disk_full`, `store_unwritable` */
export async function fetchOpenvino({
  dataHome,
  build = openvinoBuild(),
  onBegin,
  ...download
}: FetchOpenvinoOptions): Promise<FetchedOpenvino> {
  if (build === undefined) throw unsupported();
  const folder = openvinoLibraryFolder(dataHome);
  const found = await verifyLibraries(folder, build);
  if (found.state === 'good') return { folder, result: 'present' };
  onBegin?.(build, found.state === 'broken' ? found.problem : undefined);
  const { wheel, files } = build;
  await fetchWheels({
    ...download,
    folder,
    wheels: [{ ...wheel, name: 'openvino', version: OPENVINO_VERSION, wanted: wantedFiles(files) }],
    needs: `${Math.ceil(files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / 1e6)} MB`,
    finish: async (draft) => {
      const made = await verifyLibraries(draft, build);
      if (made.state === 'broken') throw openvinoUnavailable(`${made.problem} after it was downloaded.`);
    },
  });
  return { folder, result: found.state === 'broken' ? 'mended' : 'downloaded' };
}

/** The libraries, and the texts of their licences. */
function wantedFiles(files: OpenvinoBuild['files']): RegExp {
  const names = files.map(({ name }) => name.replaceAll('.', '\\.')).join('|');
  return new RegExp(`^openvino/libs/(?:${names})$|\\.dist-info/licenses/`);
}
