/** The page at the server's URL in a browser, which says where its APIs are. It holds nothing of the server's state. */
import type { FastifyReply } from 'fastify';

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>text2img</title>
<h1>text2img</h1>
<p>This server generates images for programs. Give them one of these URLs:</p>
<ul>
<li><code>/v1</code> for clients of OpenAI’s images API</li>
<li><code>/</code> for clients of AUTOMATIC1111’s web UI</li>
<li><code>/api/v1</code> for the jobs API</li>
<li><code>/mcp</code> for agents</li>
</ul>
<p><a href="/openapi.json">openapi.json</a> describes the routes.</p>
</html>
`;

export function sendRootPage(reply: FastifyReply): FastifyReply {
  return reply
    .headers({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
    })
    .send(PAGE);
}
