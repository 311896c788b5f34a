/** OpenVINO's libraries for tests: those that `text2img setup openvino` fetched, or a loud reason for skipping. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findLibraries, openvinoLibraryFolder } from '../../../src/runtime/openvino/library-folder.ts';

const dataHome = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share');

export const LIBRARY_FOLDER = openvinoLibraryFolder(dataHome);

const found = findLibraries(LIBRARY_FOLDER);

/** For `skip` of a test: false where the libraries are there. */
export const NO_OPENVINO =
  found.state !== 'good' &&
  `OPENVINO IS NOT TESTED: its libraries are ${found.state} in ${LIBRARY_FOLDER}; "text2img setup openvino" fetches them`;
