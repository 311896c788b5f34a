/** The thread of `model-hash.ts`: hashes one file and says its SHA-256, unless it is another file by then. */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { weightsDigest } from '../../runtime/cache-entries.ts';
import { digestFile, identityOf, isSameFile } from '../../runtime/file-digest.ts';
import type { DigestMemory, LoadedFile } from './model-hash.ts';

const { file, memory } = workerData as { readonly file: LoadedFile; readonly memory: DigestMemory };
// On Linux this is the calling thread's alone (setpriority(2), "C library/kernel differences"); elsewhere it would slow the whole engine.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_LOW);
const { folder, verify } = memory;
const sha256 = folder === null ? (await digestFile(file.path)).sha256 : await weightsDigest(folder, file.path, verify);
if (isSameFile(file.identity, await identityOf(file.path), 'changed')) parentPort?.postMessage(sha256);
