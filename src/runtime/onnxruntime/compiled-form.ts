/** ONNX Runtime's compiled graph for a CPU, as an entry of the compile cache. */
import { join } from 'node:path';
import type { CompiledForm } from '../compile-cache.ts';
import { processorIdentity } from '../processor.ts';
import { onnxRuntimeVersion } from './version.ts';
import {
  createSession,
  loadOptimizedSession,
  type OnnxRuntimeSession,
  saveOptimized,
  type SessionSettings,
} from './session.ts';

const MODEL_FILE = 'model.onnx';

export function compiledForm(settings: SessionSettings): CompiledForm<OnnxRuntimeSession> {
  return {
    key: onnxRuntimeVersion() + processorIdentity(),
    load: (folder) => loadOptimizedSession(join(folder, MODEL_FILE), settings),
    compileInto: (folder, widened) => saveOptimized(widened, settings, join(folder, MODEL_FILE)),
    compile: (ready) => createSession(ready, settings),
  };
}
