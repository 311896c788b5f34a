/** The doors of the server: one line each. */
import { A1111_DOOR } from './a1111/door.ts';
import { JOBS_DOOR } from './jobs/jobs-door.ts';
import { MCP_DOOR } from './mcp/mcp-door.ts';
import { OLLAMA_DOOR } from './ollama/ollama-door.ts';
import { OPENAI_DOOR } from './openai/openai-door.ts';
import type { Door } from './server/door.ts';

export const DOORS: readonly Door[] = [JOBS_DOOR, A1111_DOOR, MCP_DOOR, OPENAI_DOOR, OLLAMA_DOOR];
