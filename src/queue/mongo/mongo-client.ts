/**
 * The driver's client. It states the options that our code relies on, so that no option of the URI can change them. It also reports why it cannot
 * connect.
 */
import {
  MongoClient,
  MongoServerSelectionError,
  type ServerHeartbeatFailedEvent,
  type ServerHeartbeatSucceededEvent,
} from 'mongodb';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { excerpt, quote } from '../../lib/foreign-text.ts';
import { withoutPassword } from './mongo-errors.ts';

const SERVER_SELECTION_MS = 10_000;
/** So long a close waits for a server that does not answer. */
const CLOSE_MS = 1500;
const MAX_DATABASE_BYTES = 63;
/** Database and collection with the dot between them. */
const MAX_NAMESPACE_BYTES = 255;
// oxlint-disable-next-line no-control-regex -- MongoDB refuses control characters in names
const NOT_IN_DATABASE_NAMES = /[/\\. "$*<>:|?\u0000-\u001f\u007f]/;
// oxlint-disable-next-line no-control-regex -- MongoDB refuses control characters in names
const NOT_IN_COLLECTION_NAMES = /[$\u0000-\u001f\u007f]|^\.|\.$|\.\.|^system\./;
const REASON_LENGTH = 200;

export interface NamedUri {
  /** With the database's name in it. */
  readonly uri: string;
  /** How the user gave it, for errors: the flag's or the variable's name. */
  readonly uriName?: string | undefined;
}

const USUAL_NAME = '--mongo-uri';

/** Does not connect yet. @throws `invalid_option` */
export function newClient({ uri, uriName = USUAL_NAME }: NamedUri): MongoClient {
  try {
    return new MongoClient(uri, {
      appName: 'text2img',
      // The URI's wtimeoutMS would end writes that a majority has not seen yet.
      writeConcern: { w: 'majority', wtimeoutMS: 0 },
      readConcernLevel: 'local',
      readPreference: 'primary',
      retryWrites: true,
      retryReads: true,
      // Here the URI's value wins over ours, unlike everywhere else.
      ...(/[?&]serverSelectionTimeoutMS=/i.test(uri) ? {} : { serverSelectionTimeoutMS: SERVER_SELECTION_MS }),
      // How documents become JavaScript's values.
      raw: false,
      promoteValues: true,
      promoteLongs: true,
      promoteBuffers: false,
      useBigInt64: false,
      fieldsAsRaw: {},
      // A text with bytes that are not UTF-8 must not throw after its claim took effect.
      enableUtf8Validation: false,
      // Nor a pattern that JavaScript cannot read.
      bsonRegExp: true,
      // And back.
      ignoreUndefined: false,
      serializeFunctions: false,
      checkKeys: false,
      forceServerObjectId: false,
    });
  } catch (error) {
    const reason = withoutPassword(messageOf(error));
    throw new Text2ImgError('invalid_option', `${uriName} (not shown) is not allowed: ${reason}.`);
  }
}

/** The path of the URI; the driver would quietly take "test". @throws `invalid_option` */
export function databaseOf({ uri, uriName = USUAL_NAME }: NamedUri): string {
  const path = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]+)/.exec(uri)?.[1];
  if (path === undefined)
    throw new Text2ImgError(
      'invalid_option',
      `${uriName} (not shown) names no database; it must be like mongodb://host:27017/my-database.`,
    );
  const name = decoded(path);
  if (name === undefined || NOT_IN_DATABASE_NAMES.test(name) || Buffer.byteLength(name) > MAX_DATABASE_BYTES)
    throw new Text2ImgError(
      'invalid_option',
      `${uriName} (not shown) names the database ${quote(name ?? path)}; allowed are at most ${MAX_DATABASE_BYTES} bytes without blanks, control characters and any of / \\ . " $ * < > : | ?`,
    );
  return name;
}

/** @throws `invalid_option` */
export function checkCollectionName(name: string, database: string): void {
  const bytes = Buffer.byteLength(`${database}.${name}`);
  if (name !== '' && !NOT_IN_COLLECTION_NAMES.test(name) && bytes <= MAX_NAMESPACE_BYTES) return;
  throw new Text2ImgError(
    'invalid_option',
    `--collection is ${quote(name)}; allowed are names of at most ${MAX_NAMESPACE_BYTES} bytes with the database. Not allowed are "$", control characters, dots at the ends, two dots together, and "system." at the start.`,
  );
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/** Remembers what the hosts said of themselves, for the sentence when none can be used: the driver's own says only that the time is up. */
export class ConnectionDiary {
  readonly #client: MongoClient;
  readonly #byHost = new Map<string, string>();

  constructor(client: MongoClient) {
    this.#client = client;
    client.on('serverHeartbeatFailed', (event) => this.#failed(event));
    // A host of another set leaves the driver's description at once, and is in no error.
    client.on('serverHeartbeatSucceeded', (event) => this.#succeeded(event));
  }

  /** The same error, or one that says more. @param place names the queue */
  explain(error: unknown, place: string): unknown {
    if (!(error instanceof MongoServerSelectionError)) return error;
    const notes = Array.from(this.#byHost, ([host, note]) => `${host} ${note}`);
    if (notes.length === 0) return error;
    return new Text2ImgError('queue_failed', `${place} cannot be reached: ${notes.join('; ')}.`, { cause: error });
  }

  #failed({ connectionId: host, failure }: ServerHeartbeatFailedEvent): void {
    const { tls } = this.#client.options;
    const reason = excerpt(withoutPassword(failure.message), REASON_LENGTH);
    this.#byHost.set(host, `${tls ? 'was asked with TLS, as the URI says, and ' : ''}answered: ${reason}`);
  }

  #succeeded({ connectionId: host, reply }: ServerHeartbeatSucceededEvent): void {
    const { replicaSet } = this.#client.options;
    const setName: unknown = reply['setName'];
    this.#byHost.delete(host);
    if (replicaSet === undefined || setName === replicaSet) return;
    const actual = typeof setName === 'string' ? `the replica set ${quote(setName)}` : 'no replica set';
    this.#byHost.set(host, `belongs to ${actual}, and the URI asks for replicaSet=${quote(replicaSet)}`);
  }
}

/** Closes what can be closed; a server that does not answer is not waited for. */
export async function closeWithin(close: () => Promise<unknown>, ms = CLOSE_MS): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([close().catch(() => undefined), late]);
  clearTimeout(timer);
}
