/** The door `/mcp`: streamable HTTP for agents. The SDK is loaded with the first request. */
import type { Door } from '../server/door.ts';
import type { McpExchange } from './mcp-exchange.ts';

const PATH = '/mcp';
/** In JSON-RPC: a server's own error, and a body that is no JSON. */
const SERVER_ERROR = -32_000;
const PARSE_ERROR = -32_700;

export const MCP_DOOR: Door = {
  name: 'mcp',
  prefixes: [`${PATH}/`],
  bodies: 'json',
  register(app, front, tools) {
    let opened: Promise<McpExchange> | undefined;
    const open = (): Promise<McpExchange> =>
      (opened ??= import('./mcp-exchange.ts').then(({ McpExchange }) => new McpExchange(front, tools)));
    app.addHook('preClose', async () => (await opened)?.endSubscriptions());
    app.route({
      method: ['GET', 'POST', 'DELETE'],
      url: PATH,
      handler: async (request, reply) => reply.send(await (await open()).answer(request)),
    });
  },
  errorBody({ error: { code, message } }) {
    const number = code === 'invalid_body' ? PARSE_ERROR : SERVER_ERROR;
    const error = { code: number, message: `${code}: ${message}`, data: { code } };
    return { contentType: 'application/json', body: { jsonrpc: '2.0', id: null, error } };
  },
};
