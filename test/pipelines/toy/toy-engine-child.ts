/** The engine child with one family more: the same program, another list. */
import { serveEngine } from '../../../src/engine/child/serve-engine.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { TOY } from './toy-family.ts';

serveEngine([...FAMILIES, TOY]);
