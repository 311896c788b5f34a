/** Inserts a document as bytes, which no driver would send: strings that are not UTF-8. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { BSON, type Document } from 'mongodb';

const OP_MSG = 2013;
const HEADER_BYTES = 16;
/** Flags, and the kind of the only section. */
const PREFIX_BYTES = 5;

/** Every `INVALID` in the document's strings becomes bytes that are not UTF-8, as many. */
const MARK = Buffer.from('INVALID');
const INVALID_UTF8 = Buffer.from([0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0xfe]);

export class RawInserter implements AsyncDisposable {
  readonly #socket: Socket;
  #id = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<RawInserter> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RawInserter(socket);
  }

  /** False: the server does not take it. */
  async insert(
    { database, collection }: { readonly database: string; readonly collection: string },
    document: Document,
  ): Promise<boolean> {
    const body = Buffer.from(BSON.serialize({ insert: collection, $db: database, documents: [document] }));
    for (let at = body.indexOf(MARK); at >= 0; at = body.indexOf(MARK, at + 1)) INVALID_UTF8.copy(body, at);
    const head = Buffer.alloc(HEADER_BYTES + PREFIX_BYTES);
    head.writeInt32LE(head.length + body.length, 0);
    head.writeInt32LE(++this.#id, 4);
    head.writeInt32LE(OP_MSG, 12);
    this.#socket.write(Buffer.concat([head, body]));
    const { ok, writeErrors } = await this.#reply();
    return ok === 1 && writeErrors === undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
  }

  async #reply(): Promise<Document> {
    let bytes = Buffer.alloc(0);
    while (bytes.length < 4 || bytes.length < bytes.readInt32LE(0)) {
      const [chunk] = (await once(this.#socket, 'data')) as [Buffer];
      bytes = Buffer.concat([bytes, chunk]);
    }
    return BSON.deserialize(bytes.subarray(HEADER_BYTES + PREFIX_BYTES), { validation: { utf8: false } });
  }
}
