/** ONNX Runtime's compiled graph for a CPU, as an entry of the compile cache. */
import { join } from 'node:path';
import type { CompiledForm } from '../compile-cache.ts';
import { compiledFormKey, MODEL_FILE } from './compiled-form-key.ts';
import {
  createSession,
  loadOptimizedSession,
  type OnnxRuntimeSession,
  saveOptimized,
  type SessionSettings,
} from './session.ts';

export function compiledForm(settings: SessionSettings): CompiledForm<OnnxRuntimeSession> {
  return {
    key: compiledFormKey(),
    load: (folder) => loadOptimizedSession(join(folder, MODEL_FILE), settings),
    compileInto: (folder, widened) => saveOptimized(widened, settings, join(folder, MODEL_FILE)),
    compile: (ready) => createSession(ready, settings),
  };
}
