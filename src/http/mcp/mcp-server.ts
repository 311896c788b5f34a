/** The MCP server of one call or one connection: the official SDK with our four tools. Both transports use it. */
import {
  type CallToolResult,
  McpServer,
  type ServerContext,
  type StandardSchemaWithJSON,
} from '@modelcontextprotocol/server';
import { NO_LIMITS, type PromptLimits } from '../../job/limits.ts';
import { isRecord } from '../../lib/foreign-record.ts';
import { VERSION } from '../../version.ts';
import type { ToolArguments } from './tool-arguments.ts';
import { errorResult } from './tool-results.ts';
import { CANCEL_SCHEMA, GET_SCHEMA, generateSchema, NO_ARGUMENTS, type ToolSchema } from './tool-schemas.ts';
import { cancelPrompt, generateImage, getPrompt, listModels, type ToolCall, type ToolHost } from './tools.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';

const INSTRUCTIONS =
  'Generates images with Stable Diffusion on the machine of the user. One image takes seconds to minutes. ' +
  'generate_image waits for it. If the time is over first, it returns an id: then call get_prompt with wait_seconds.';

/** A payload with more parts than this is no call of these tools. */
const MOST_PARTS = 10_000;

export interface McpServerOptions {
  readonly host: ToolHost;
  readonly limits?: PromptLimits;
  /** How a call ends early depends on the transport. */
  readonly callOf: (context: ServerContext) => ToolCall & Disposable;
}

type Act = (given: ToolArguments, call: ToolCall) => Promise<CallToolResult> | CallToolResult;

export function mcpServer({ host, limits = NO_LIMITS, callOf }: McpServerOptions): McpServer {
  const server = new McpServer(
    { name: 'text2img', title: 'text2img', version: VERSION },
    { instructions: INSTRUCTIONS, maxToolInputElements: MOST_PARTS, capabilities: { tools: { listChanged: false } } },
  );
  const run = (act: Act) => (given: ToolArguments, context: ServerContext) =>
    answered(host, act, { given, context, callOf });
  server.registerTool(
    'generate_image',
    {
      title: 'Generate an image',
      description:
        'Generate images from a text prompt. Returns the images, their seeds and URLs, and the id of the prompt. ' +
        'It also takes the rare fields of prompt documents, such as clip_skip and sigmas.',
      inputSchema: schemaOf(generateSchema(limits)),
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
    },
    run((given, call) => generateImage(host, given, call)),
  );
  server.registerTool(
    'get_prompt',
    {
      title: 'Get a prompt',
      description: 'Get the state of a prompt, and its images when it is completed.',
      inputSchema: schemaOf(GET_SCHEMA),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    run((given, call) => getPrompt(host, given, call)),
  );
  server.registerTool(
    'cancel_prompt',
    {
      title: 'Cancel a prompt',
      description: 'Cancel a prompt that is pending or being generated.',
      inputSchema: schemaOf(CANCEL_SCHEMA),
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
    },
    run((given) => cancelPrompt(host, given)),
  );
  server.registerTool(
    'list_models',
    {
      title: 'List the models',
      description: 'List the names that generate_image takes as model.',
      inputSchema: schemaOf(NO_ARGUMENTS),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    run(() => listModels(host)),
  );
  return server;
}

interface Asked extends Pick<McpServerOptions, 'callOf'> {
  readonly given: ToolArguments;
  readonly context: ServerContext;
}

/** Every error becomes the answer of the tool, so that the model reads its sentence. */
async function answered(
  { logger, caller }: ToolHost,
  act: Act,
  { given, context, callOf }: Asked,
): Promise<CallToolResult> {
  using call = callOf(context);
  try {
    return await act(given, call);
  } catch (raw) {
    const error = Text2ImgError.from(raw);
    if (error.fault === 'bug') logger.error('a tool failed', { request_id: caller.requestId, error: raw });
    return errorResult(error);
  }
}

/** Lets every object through: the tools check it themselves, and their sentences carry our codes. */
function schemaOf(schema: ToolSchema): StandardSchemaWithJSON<ToolArguments, ToolArguments> {
  const json = (): Record<string, unknown> => ({ ...schema });
  return {
    '~standard': {
      version: 1,
      vendor: 'text2img',
      validate: (value) => ({ value: isRecord(value) ? value : {} }),
      jsonSchema: { input: json, output: json },
    },
  };
}
