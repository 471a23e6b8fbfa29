import type { ApiFailure, FailureKind } from "./backend.ts";
import { PROBLEM_TYPE, PROBLEM_TYPES } from "./protocol.ts";
import type { Problem } from "./schema.ts";

export const Status = {
  ok: 200,
  created: 201,
  noContent: 204,
  notModified: 304,
  badRequest: 400,
  unauthorized: 401,
  forbidden: 403,
  notFound: 404,
  methodNotAllowed: 405,
  requestTimeout: 408,
  conflict: 409,
  changed: 412,
  tooLarge: 413,
  uriTooLong: 414,
  unsupportedType: 415,
  misdirected: 421,
  unprocessable: 422,
  tooMany: 429,
  failed: 500,
  unavailable: 503,
  storage: 507,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

const TITLES: Readonly<Partial<Record<Status, string>>> = {
  400: "Bad request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not found",
  405: "Method not allowed",
  408: "Request timeout",
  409: "Conflict",
  412: "Precondition failed",
  413: "Content too large",
  414: "URI too long",
  415: "Unsupported media type",
  421: "Misdirected request",
  422: "Unprocessable content",
  429: "Too many requests",
  500: "Internal server error",
  503: "Service unavailable",
  507: "Insufficient storage",
};

const STATUS_OF: Readonly<Record<FailureKind, Status>> = {
  invalid: Status.badRequest,
  unauthorized: Status.unauthorized,
  totp: Status.unauthorized,
  setup: Status.forbidden,
  forbidden: Status.forbidden,
  "not-found": Status.notFound,
  conflict: Status.conflict,
  changed: Status.changed,
  limited: Status.tooMany,
  unavailable: Status.unavailable,
  storage: Status.storage,
};

const TYPE_OF: Readonly<Partial<Record<FailureKind, string>>> = PROBLEM_TYPES;
const NO_TYPE = "about:blank";

type FieldErrors = NonNullable<Problem["errors"]>;
interface More {
  readonly type?: string;
  readonly errors?: FieldErrors;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** What the server itself refuses, before a backend is asked. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  /** `message`: one sentence that says what to do. */
  constructor(
    readonly status: Status,
    message: string,
    readonly more: More = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
  }
}

export function refusalOf(failure: ApiFailure): Refusal {
  const type = TYPE_OF[failure.kind];
  const status = STATUS_OF[failure.kind];
  return new Refusal(status, failure.message, {
    ...(type === undefined ? {} : { type }),
    ...(failure.errors.length === 0 ? {} : { errors: failure.errors }),
    ...(failure.retryAfterSec === null ? {} : { headers: { "retry-after": String(Math.ceil(failure.retryAfterSec)) } }),
  });
}

/** RFC 9457. A 401 says how to ask (RFC 9110 §11.6.1); browsers open no window for Bearer. */
export function problemResponse({ status, message, more }: Refusal): Response {
  const problem: Problem = {
    type: more.type ?? NO_TYPE,
    title: TITLES[status] ?? "Problem",
    status,
    detail: message,
    ...(more.errors === undefined ? {} : { errors: more.errors }),
  };
  return new Response(JSON.stringify(problem), {
    status,
    headers: {
      "content-type": PROBLEM_TYPE,
      ...(status === Status.unauthorized ? { "www-authenticate": 'Bearer realm="hatchway"' } : {}),
      ...more.headers,
    },
  });
}
