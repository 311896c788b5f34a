/** The hub's answers as random JSON, text and bytes, through the hub's own client: they are read, or refused with a code that says whose fault it is. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { listRepository, resolveCommit } from '../../../src/checkpoint/hub/hub-client.ts';
import { anyValue, hostileName, readOrRefuse } from '../../lib/foreign-input.ts';
import { HUB_ID } from './hub-place.ts';

let answer: { readonly body: string | Uint8Array; readonly type: string; readonly link: string | undefined };
const server = createServer((_request, response) => {
  response.setHeader('content-type', answer.type);
  if (answer.link !== undefined) response.setHeader('link', answer.link);
  response.end(answer.body);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
after(() => server.close());

const { port } = server.address() as AddressInfo;
const endpoint = `http://127.0.0.1:${port}`;
const options = { access: { endpoint, token: undefined }, tries: 1, firstPauseMs: 1 };

const sum = fc.constantFrom('a'.repeat(40), 'b'.repeat(64), '../x', '');
/** Nearly what the hub says of one file. */
const entry = fc.record(
  {
    type: fc.oneof(fc.constantFrom('file', 'directory'), anyValue),
    path: fc.oneof(fc.constantFrom('vae/config.json', '../x'), hostileName, anyValue),
    size: fc.oneof(fc.nat(), anyValue),
    oid: fc.oneof(sum, anyValue),
    lfs: fc.oneof(fc.record({ oid: sum, size: fc.nat() }), anyValue),
  },
  { requiredKeys: [] },
);
const body: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  fc.array(entry, { maxLength: 3 }).map((list) => JSON.stringify(list)),
  fc
    .dictionary(fc.oneof(fc.constantFrom('sha', 'id', '_id', 'siblings'), hostileName), fc.oneof(sum, anyValue))
    .map((info) => JSON.stringify(info)),
  anyValue.map((one) => String(JSON.stringify(one))),
  fc.string({ unit: 'binary' }),
  fc.uint8Array({ maxLength: 100 }),
);
/** What may stand in a header. */
const word = fc.string({
  unit: fc.constantFrom('a', '<', '>', ';', '=', '"', ',', '/', ':', '?', '&', '%', '#', '@', ' ', '1'),
  maxLength: 30,
});
const link = fc.option(
  fc.oneof(
    word,
    word.map((path) => `<${endpoint}/${path}>; rel="next"`),
    word.map((url) => `<${url}>; rel="next"`),
  ),
  { nil: undefined },
);

test('any answer of the hub is read, or refused as the hub’s or the model’s fault', async () => {
  await fc.assert(
    fc.asyncProperty(body, fc.constantFrom('application/json', 'text/html', ''), link, async (content, type, next) => {
      answer = { body: content, type, link: next };
      await readOrRefuse(() => resolveCommit(HUB_ID, options), ['model', 'infrastructure']);
      await readOrRefuse(() => listRepository(HUB_ID, options), ['model', 'infrastructure']);
    }),
    { numRuns: 400 },
  );
});
