import type { Versioned } from "./backend.ts";
import { BYTES_TYPE, IDEMPOTENCY_HEADER, JSON_TYPE, LINES_TYPE, PAGE_KEY_HEADER, PROBLEM_TYPE } from "./protocol.ts";
import type { Problem } from "./schema.ts";

/** The part of `fetch` that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The server refuses; `problem.detail` is a sentence that says what to do. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  readonly problem: Problem;
  /** Of a 429; null = it does not say. */
  readonly retryAfterSec: number | null;

  constructor(problem: Problem, retryAfterSec: number | null = null) {
    super(problem.detail);
    this.problem = problem;
    this.retryAfterSec = retryAfterSec;
  }
}

export interface Reading {
  readonly signal?: AbortSignal;
  /** The server has begun to answer: what happens from now on is told. */
  readonly onOpen?: () => void;
}

interface CallerOptions {
  readonly baseUrl: string;
  readonly fetch?: Fetch;
  readonly token?: string;
  readonly pageKey?: string;
  readonly signal?: AbortSignal;
}

interface Extra {
  readonly idempotencyKey?: string;
  readonly version?: string | null;
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** The longest line of a stream that is taken: a forward with its rules has some 100 KB at most. */
const MAX_LINE_CHARS = 1_024 * 1_024;

export class HttpCaller {
  pageKey: string | null;
  readonly #options: CallerOptions;
  readonly #fetch: Fetch;

  constructor(options: CallerOptions) {
    this.#options = options;
    this.pageKey = options.pageKey ?? null;
    // Not `options.fetch ?? fetch`: browsers want it called on the window.
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
  }

  async json<T>(method: Method, path: string, body?: unknown, extra: Extra = {}): Promise<T> {
    return await value<T>(await this.#send(method, path, body, extra));
  }

  async versioned<T>(method: Method, path: string, body?: unknown, extra: Extra = {}): Promise<Versioned<T>> {
    const response = await this.#send(method, path, body, extra);
    return { value: await value<T>(response), version: response.headers.get("etag") ?? "*" };
  }

  async done(method: Method, path: string, body?: unknown, extra: Extra = {}): Promise<void> {
    // Read to its end, so that the connection is free again.
    await (await this.#send(method, path, body, extra)).text();
  }

  /** A file. */
  async bytes(method: Method, path: string, body: unknown): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#send(method, path, body, {}, { accept: BYTES_TYPE });
    return response.body ?? new Blob([]).stream();
  }

  async upload<T>(
    path: string,
    file: Blob | Uint8Array<ArrayBuffer>,
    headers: Readonly<Record<string, string>>,
  ): Promise<T> {
    return await value<T>(
      await this.#send("POST", path, undefined, {}, { ...headers, "content-type": BYTES_TYPE }, undefined, file),
    );
  }

  /** JSON lines, or the data of server-sent events. */
  async *stream<T>(path: string, type: string, { signal, onOpen }: Reading): AsyncGenerator<T, void, void> {
    const ends = [signal, this.#options.signal].filter((end) => end !== undefined);
    try {
      const response = await this.#send("GET", path, undefined, {}, { accept: type }, ends);
      onOpen?.();
      if (response.body === null) return;
      for await (const line of lines(response.body)) {
        const text = type === LINES_TYPE ? line : line.startsWith("data:") ? line.slice("data:".length) : "";
        if (text !== "") yield JSON.parse(text) as T;
      }
    } catch (error) {
      if (!ends.some((end) => end.aborted)) throw error;
    }
  }

  async #send(
    method: Method,
    path: string,
    body: unknown,
    extra: Extra,
    headers: Readonly<Record<string, string>> = {},
    signals: readonly AbortSignal[] = this.#options.signal === undefined ? [] : [this.#options.signal],
    file?: Blob | Uint8Array<ArrayBuffer>,
  ): Promise<Response> {
    const { baseUrl, token } = this.#options;
    const [end, ...others] = signals;
    const response = await this.#fetch(`${baseUrl.replace(/\/$/, "")}${path}`, {
      method,
      headers: {
        accept: JSON_TYPE,
        ...(body === undefined ? {} : { "content-type": JSON_TYPE }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(this.pageKey === null ? {} : { [PAGE_KEY_HEADER]: this.pageKey }),
        ...(extra.idempotencyKey === undefined ? {} : { [IDEMPOTENCY_HEADER]: extra.idempotencyKey }),
        ...(extra.version === undefined || extra.version === null ? {} : { "if-match": extra.version }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(file === undefined ? {} : { body: file }),
      credentials: "same-origin",
      // No answer of the API is one, and a token is for the server that it was meant for.
      redirect: "error",
      // Safari has no AbortSignal.any before 17.4: where one signal is enough, none is needed.
      ...(end === undefined ? {} : { signal: others.length === 0 ? end : AbortSignal.any([end, ...others]) }),
    });
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}

async function value<T>(response: Response): Promise<T> {
  return (await response.json()) as T;
}

/** A proxy before the server answers in words of its own. */
async function problemOf(response: Response): Promise<ApiProblem> {
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retryAfterSec = Number.isFinite(retryAfter) ? retryAfter : null;
  const text = await response.text();
  if (response.headers.get("content-type")?.startsWith(PROBLEM_TYPE) === true) {
    return new ApiProblem(JSON.parse(text) as Problem, retryAfterSec);
  }
  const detail = `The server answered with status ${response.status}: see its log, or that of the proxy before it.`;
  return new ApiProblem({ type: "about:blank", title: "Problem", status: response.status, detail }, retryAfterSec);
}

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += decoder.decode(value, { stream: !done });
      const whole = rest.split("\n");
      rest = whole.pop() ?? "";
      if (rest.length > MAX_LINE_CHARS) throw new Error("a line of the stream is too long");
      yield* whole;
      if (done) break;
    }
    if (rest !== "") yield rest;
  } finally {
    await reader.cancel();
  }
}
