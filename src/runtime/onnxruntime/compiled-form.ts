/** ONNX Runtime's compiled graph for a CPU, as an entry of the compile cache. */
import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { BuiltGraph } from '../../onnx/graph.ts';
import type { CompiledForm } from '../compile-cache.ts';
import { onnxRuntimeVersion } from './version.ts';
import {
  createSession,
  loadOptimizedSession,
  type OnnxRuntimeSession,
  saveOptimized,
  type SessionSettings,
} from './session.ts';

const MODEL_FILE = 'model.onnx';

export function compiledForm(graph: BuiltGraph, settings: SessionSettings): CompiledForm<OnnxRuntimeSession> {
  return {
    key: onnxRuntimeVersion() + cpuIdentity(),
    load: (folder) => loadOptimizedSession(join(folder, MODEL_FILE), settings),
    compileInto: (folder, widened) => saveOptimized(widened, settings, join(folder, MODEL_FILE)),
    compile: () => createSession(graph, settings),
  };
}

/** The layouts that ONNX Runtime chooses depend on the instruction sets. */
function cpuIdentity(): string {
  const flags = existsSync('/proc/cpuinfo')
    ? (/^flags\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0] ?? '')
    : '';
  return `${process.arch}\n${cpus()[0]?.model ?? ''}\n${flags}\n`;
}
