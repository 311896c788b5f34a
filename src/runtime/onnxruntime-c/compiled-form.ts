/** ONNX Runtime's compiled graph for a CPU, as an entry of the compile cache. The Node binding shares the entry, because the library is the same. */
import { join } from 'node:path';
import type { BuiltGraph } from '../../onnx/graph.ts';
import type { CompiledForm } from '../compile-cache.ts';
import { compiledFormKey, MODEL_FILE } from '../onnxruntime/compiled-form-key.ts';
import { createSession, loadOptimizedSession, type OrtSession, saveOptimized, type SessionPlace } from './session.ts';

export function compiledForm(graph: BuiltGraph, place: SessionPlace): CompiledForm<OrtSession> {
  return {
    key: compiledFormKey(),
    load: (folder) => loadOptimizedSession(graph, join(folder, MODEL_FILE), place),
    compileInto: (folder, widened) => saveOptimized(widened, place, join(folder, MODEL_FILE)),
    compile: (ready) => createSession(ready, place),
  };
}
