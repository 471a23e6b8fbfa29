import type { z } from "../../wire/zod.ts";
import type { ApiBackend, BegunSession, Origin, PageRequest, Principal } from "./backend.ts";
import type { HeldSession } from "./credentials.ts";
import type { Following, StreamedEvent } from "./event-stream.ts";
import type { Need } from "./need.ts";
import { Status } from "./problem.ts";
import type { PageQuery, Preset } from "./schema.ts";
import { checked } from "./validate.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
export type Tag =
  | "Session"
  | "Me"
  | "People"
  | "Forwards"
  | "Devices"
  | "SSH"
  | "Gateway"
  | "Relay"
  | "Checks"
  | "Settings";

export interface PresetSource {
  readonly all: readonly Preset[];
  search(text: string): readonly Preset[];
}

export interface Upload {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly passphrase: string;
}

/** What an operation has at hand, of the server and of the request, before its query and body were looked at. */
export interface Asked<Who> {
  readonly backend: ApiBackend;
  readonly presets: PresetSource;
  readonly origin: Origin;
  readonly who: Who;
  /** Null: there is none, or a token asks. */
  readonly session: HeldSession | null;
  /** Of the path; "" when it has none. */
  readonly id: string;
  /** What `If-Match` names; null = whatever it is. */
  readonly version: string | null;
  readonly accept: string;
  /** Whoever asks has gone, or the server ends. */
  readonly signal: AbortSignal;
  /** Of an operation that takes a file: what comes of it, as it comes. */
  upload(): Upload;
  /** As server-sent events, until whoever asks goes or their credential ends. */
  stream(events: (signal: AbortSignal) => Following<StreamedEvent>): Promise<Response>;
  /** As JSON lines. */
  lines(values: AsyncIterable<unknown>): Response;
}

export interface Ask<Who, Q, B> extends Asked<Who> {
  readonly query: Q;
  readonly body: B;
}

/** An answer with more than its value. */
export class Reply<T> {
  constructor(
    readonly value: T,
    readonly more: {
      readonly version?: string;
      readonly location?: string;
      /** Null: it ended. */
      readonly session?: BegunSession | null;
    },
  ) {}
}

interface Shape<Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType> {
  /** Of the document, and the name of the client's method. */
  readonly id: string;
  readonly method: Method;
  /** `{id}` is the only variable. */
  readonly path: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description?: string;
  readonly query?: Q;
  readonly body?: B;
  /** Absent: 204. What it does not name never leaves the server. */
  readonly reply?: R;
  /** Of success; 200, or 204 without `reply`. */
  readonly status?: 200 | 201;
  /** `If-Match` is looked at. */
  readonly versioned?: true;
  /** The answer is a file of bytes, of this type, and no JSON. */
  readonly download?: string;
  /** The body is a file of bytes, of this size at most, and no JSON. */
  readonly upload?: { readonly maxBytes: number };
  /** Other forms of the answer, by `Accept`. */
  readonly streams?: readonly string[];
}

/** What `run` gives: what the reply's schema takes. */
type Answer<R extends z.ZodType> = Promise<z.input<R> | Reply<z.input<R>> | Response>;

/** One row of the table of routes. */
export interface Operation extends Shape<z.ZodType, z.ZodType, z.ZodType> {
  /** Null: everybody, signed in or not. */
  readonly need: Need | null;
  /** `query` and `body` as they came. */
  run(asked: Asked<Principal | null>, query: unknown, body: unknown): Answer<z.ZodType>;
}

/** For those who have signed in, or have a token. */
export function operation<
  Q extends z.ZodType = z.ZodUnknown,
  B extends z.ZodType = z.ZodUnknown,
  R extends z.ZodType = z.ZodVoid,
>(
  shape: Shape<Q, B, R> & {
    readonly need: Need;
    run(ask: Ask<Principal, z.output<Q>, z.output<B>>): Answer<R>;
  },
): Operation {
  return {
    ...shape,
    async run(asked, query, body) {
      const { who } = asked;
      if (who === null) throw new Error(`${shape.id} was run for nobody`);
      return await shape.run({ ...asked, who, ...checkedInput(shape, query, body) });
    },
  };
}

/** For everybody. */
export function openOperation<
  Q extends z.ZodType = z.ZodUnknown,
  B extends z.ZodType = z.ZodUnknown,
  R extends z.ZodType = z.ZodVoid,
>(shape: Shape<Q, B, R> & { run(ask: Ask<null, z.output<Q>, z.output<B>>): Answer<R> }): Operation {
  return {
    ...shape,
    need: null,
    run: async (asked, query, body) => await shape.run({ ...asked, who: null, ...checkedInput(shape, query, body) }),
  };
}

function checkedInput<Q extends z.ZodType, B extends z.ZodType>(
  shape: { readonly query?: Q; readonly body?: B },
  query: unknown,
  body: unknown,
): { readonly query: z.output<Q>; readonly body: z.output<B> } {
  return { query: checked(shape.query, query, "query"), body: checked(shape.body, body, "body") };
}

/** Whether an Idempotency-Key is looked at: a file is too large to be kept for somebody who asks again. */
export function mayRepeat({ method, download, upload }: Operation): boolean {
  return method === "POST" && download === undefined && upload === undefined;
}

export function successStatus({ status, reply, download }: Operation): number {
  return status ?? (reply === undefined && download === undefined ? Status.noContent : Status.ok);
}

export function pageRequest({ limit, cursor }: z.output<typeof PageQuery>): PageRequest {
  return { limit, cursor: cursor ?? null };
}

/** A list that is short enough for one page. */
export function onePage<T>(items: readonly T[]): { readonly items: readonly T[]; readonly next: null } {
  return { items, next: null };
}
