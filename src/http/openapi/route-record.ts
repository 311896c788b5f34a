/**
 * How a door describes its routes. The OpenAPI document and docs/http-api.md are written from these records, so a route is described once, beside
 * the code that answers it.
 */

/** A JSON Schema, in the dialect of OpenAPI 3.1. */
export type Schema = Readonly<Record<string, unknown>>;

export interface ParameterRecord {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  /** A sentence. */
  readonly description: string;
  readonly schema: Schema;
  /** A path's are always required. */
  readonly isRequired?: true;
}

interface HeaderRecord {
  readonly description: string;
  readonly schema: Schema;
}

export interface AnswerRecord {
  /** A sentence. */
  readonly description: string;
  readonly headers?: Readonly<Record<string, HeaderRecord>>;
  /** From a content type to the schema of its body; absent: no body. */
  readonly content?: Readonly<Record<string, Schema>>;
}

export interface RouteRecord {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** `/api/v1/prompts/{id}` */
  readonly path: string;
  /** Unique in the whole document; generated clients call their functions so. */
  readonly operationId: string;
  /** One short sentence without its full stop. */
  readonly summary: string;
  /** More sentences, where the summary does not say all. */
  readonly description?: string;
  readonly parameters?: readonly ParameterRecord[];
  readonly body?: {
    readonly description: string;
    readonly content: Readonly<Record<string, Schema>>;
    readonly example?: unknown;
    /** The route works without one. */
    readonly isOptional?: true;
  };
  /** The answers that are no errors, by status. */
  readonly answers: Readonly<Record<number, AnswerRecord>>;
  /** The statuses of errors that this route can end with; their body is the door's. */
  readonly errors: readonly number[];
  /** No key is asked for. */
  readonly isPublic?: true;
}

export interface DoorDescription {
  /** `Jobs API` */
  readonly title: string;
  /** A sentence or two. */
  readonly description: string;
  readonly routes: readonly RouteRecord[];
  /** Named schemas, for `$ref: '#/components/schemas/<name>'`. */
  readonly schemas?: Readonly<Record<string, Schema>>;
  /** The form of every error of this door. */
  readonly error: { readonly contentType: string; readonly schema: Schema };
}

export function reference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}
