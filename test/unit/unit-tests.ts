/**
 * Which test files are unit tests: those that import nothing that starts a process, a server or a model. Nobody keeps a list; `refuse-outside.ts` holds
 * each of them to it while it runs.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A file that imports one of these, by itself or through a helper in test/, is no unit test. Names of ours end as written here. */
const NEEDS: Readonly<Record<string, string>> = {
  'node:child_process': 'starts processes',
  'node:worker_threads': 'starts threads',
  'node:http': 'starts a server',
  'node:https': 'starts a server',
  'node:net': 'starts a server',
  'src/engine/engine-host.ts': 'starts an engine',
  'src/engine/engine-pool.ts': 'starts an engine',
  'src/engine/child/': 'loads a model',
  'src/app/run-worker.ts': 'starts an engine',
  'src/runtime/registry.ts': 'loads ONNX Runtime',
  'src/runtime/onnxruntime/onnx-runtime.ts': 'loads ONNX Runtime',
  'src/runtime/openvino/openvino.ts': 'loads OpenVINO',
  'test/runtime/nvidia/foreign-smi.ts': 'starts a program in the place of nvidia-smi',
  'bench/gpu/run-step.ts': 'starts a step of the benchmark',
  'bench/gpu/libraries.ts': 'starts ldconfig',
};

const IMPORT = /(?:^|\s)(?:import|export)\s[^;]*?from '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm;

/** @param file by its path from the root @returns undefined for a unit test */
export function whyNoUnitTest(file: string): string | undefined {
  return whyNot(file, new Set());
}

/** Every `*.test.ts` below test/, with why it is no unit test; undefined for a unit test. */
export function testFiles(): ReadonlyMap<string, string | undefined> {
  const files = globSync('test/**/*.test.ts', { cwd: root }).map((file) => file.split(sep).join('/'));
  return new Map(files.toSorted().map((file) => [file, whyNoUnitTest(file)]));
}

function whyNot(file: string, seen: Set<string>): string | undefined {
  if (seen.has(file)) return undefined;
  seen.add(file);
  for (const name of importsOf(file)) {
    const need = Object.entries(NEEDS).find(([start]) =>
      start.endsWith('/') ? name.startsWith(start) : name === start,
    );
    if (need !== undefined) return `${file} imports ${name}, which ${need[1]}`;
    const why = name.startsWith('test/') && existsSync(join(root, name)) ? whyNot(name, seen) : undefined;
    if (why !== undefined) return why;
  }
  return undefined;
}

/** What a file imports, types left out; files of the project by their path from its root. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return Array.from(text.matchAll(IMPORT))
    .filter(([statement]) => !/^\s*(?:import|export) type\b/.test(statement))
    .map(([, from, dynamic, bare]) => from ?? dynamic ?? bare ?? '')
    .map((name) =>
      name.startsWith('.')
        ? relative(root, join(root, dirname(file), name))
            .split(sep)
            .join('/')
        : name,
    );
}
