/** The engine child's program: owns the model, in a process that `engine-process.ts` forks. */
import { FAMILIES } from '../../pipelines/registry.ts';
import { serveEngine } from './serve-engine.ts';

serveEngine(FAMILIES);
