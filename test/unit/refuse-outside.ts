/**
 * Preloaded into each test file of `npm run test:unit`: a test that starts a process or a thread, listens, connects or loads ONNX Runtime fails with a
 * sentence. So a unit test stays one. `unit-tests.ts` chooses the files.
 */
import childProcess from 'node:child_process';
import dgram from 'node:dgram';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import workerThreads from 'node:worker_threads';

function refuse(what: string): never {
  throw new Error(
    `a unit test ${what}. Nothing here may: if this test has to, its file must import what starts it, or name the reason in NEEDS of test/unit/unit-tests.ts`,
  );
}

function install(): void {
  for (const name of ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'] as const)
    Object.assign(childProcess, { [name]: () => refuse(`starts a process (${name})`) });
  net.Server.prototype.listen = () => refuse('listens');
  net.Socket.prototype.connect = () => refuse('connects');
  dgram.Socket.prototype.bind = () => refuse('listens');
  workerThreads.Worker = class {
    constructor() {
      refuse('starts a thread');
    }
  } as never;
  const dlopen = process.dlopen.bind(process) as (...args: unknown[]) => void;
  process.dlopen = (module: object, filename: string, ...rest) => {
    if (filename.includes('onnxruntime')) refuse('loads ONNX Runtime');
    dlopen(module, filename, ...rest);
  };
  syncBuiltinESMExports();
}

// The test runner itself, which starts a process for each file, is left alone.
if (process.env['NODE_TEST_CONTEXT'] !== undefined) install();
