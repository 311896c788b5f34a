/** The contract of a door: one API for the same queue. `http/doors.ts` lists them. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Text2ImgError } from '../../errors/text2img-error.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Caller, DoorName } from '../front/caller.ts';
import type { Front } from '../front/front.ts';
import type { UrlSigner } from '../images/sign-url.ts';
import type { DoorDescription } from '../openapi/route-record.ts';
import type { PromptLimits } from '../../job/limits.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * `open`: the route asks for no key. `DoorTools.caller` still does, so such a route may decide for itself.
     * Default: a key, where the server has any.
     */
    access?: 'open';
  }
}

export interface DoorTools {
  /** @throws `unauthorized` on a route that is open, when keys are asked for and the request has none */
  caller(request: FastifyRequest): Caller;
  /** An absolute URL of an image that needs no key for an hour. @throws `not_implemented` where the server has no secret to sign with */
  signUrl(caller: Caller, id: string, index: number): string;
  /** CLIP tokens of a prompt, without the marks for start and end. */
  countTokens(text: string): Promise<number>;
  /** Undefined: the server has no secret to sign links with. */
  readonly signer: UrlSigner | undefined;
  readonly logger: Logger;
  /** `--public-url`, without a slash at its end. */
  readonly publicUrl: string | undefined;
}

export interface ErrorAnswer {
  readonly error: Text2ImgError;
  readonly status: number;
  readonly requestId: string;
}

export interface ErrorBody {
  readonly contentType: string;
  readonly body: unknown;
  /** Where this API's clients know another status. */
  readonly status?: number;
}

export interface Door {
  readonly name: DoorName;
  /** Beginnings of the paths that are its own, as `/v1/`: errors there have its shape, also where there is no route. */
  readonly prefixes: readonly string[];
  /** `any`: every body that is not multipart is read as JSON. `json`: any other `content-type` is 415. */
  readonly bodies: 'any' | 'json';
  /** Registers its routes. Called once, on an instance of its own, so that its hooks stay its own. */
  register(app: FastifyInstance, front: Front, tools: DoorTools): void;
  /** Its routes, for the OpenAPI document and docs/http-api.md. Absent: none of them is described. */
  describe?(limits: PromptLimits): DoorDescription;
  /** An error in this API's shape. */
  errorBody(answer: ErrorAnswer): ErrorBody;
}
