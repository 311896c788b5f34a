/** The engine child with two families more: the same program, another list. */
import { serveEngine } from '../../../src/engine/child/serve-engine.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { CONDITIONED } from './conditioned-family.ts';
import { TOY } from './toy-family.ts';

serveEngine([...FAMILIES, TOY, CONDITIONED]);
