import { brotliCompressSync, gzipSync } from "node:zlib";
import { ManualTimers } from "../../../test/fixtures/manual-timers.ts";
import { compileCidrs } from "../../wire/address.ts";
import { createApi } from "./api.ts";
import type { ApiBackend } from "./backend.ts";
import { FakeBackend } from "./fake-backend.ts";
import { FAKE_NOW_MS, FAKE_PRESETS } from "./fake-data.ts";
import type { StaticFiles } from "./files.ts";
import type { ApiOptions } from "./options.ts";
import { CSRF_HEADER } from "./protocol.ts";
import type { Scope } from "./schema.ts";
import { type ApiServerOptions, serveApi } from "./server.ts";

export const HERE = "127.0.0.1";

const PAGE: StaticFiles = new Map([
  [
    "/index.html",
    { bytes: bytesOf("<!doctype html>"), type: "text/html; charset=utf-8", etag: "i1", immutable: false },
  ],
  [
    "/assets/app-0a1b2c3d.js",
    {
      bytes: bytesOf("let app"),
      brotli: Uint8Array.from(brotliCompressSync("let app")),
      gzip: Uint8Array.from(gzipSync("let app")),
      type: "text/javascript; charset=utf-8",
      etag: "a1",
      immutable: true,
    },
  ],
]);

/** The API over the fake backend, on a real server of 127.0.0.1 unless `serve` says otherwise. */
export class ApiLab {
  readonly backend = new FakeBackend();
  /** `relay.addForward`: what the backend was asked beyond who asks. */
  readonly calls: string[] = [];
  readonly unexpected: unknown[] = [];
  readonly timers = new ManualTimers();
  readonly api;
  readonly port: number;
  readonly url: string;
  /** What the backend's next call rejects with. */
  failure: unknown = null;
  nowMs = FAKE_NOW_MS;
  readonly #server;
  readonly #ended = new AbortController();

  constructor(options: Partial<ApiOptions> = {}, serve: Partial<ApiServerOptions> = {}) {
    const seen: ApiBackend = {
      access: this.#watched("access", this.backend.access, ["bySession", "byToken", "isSetUp"]),
      relay: this.#watched("relay", this.backend.relay, []),
    };
    this.api = createApi(seen, {
      version: "1.2.3",
      tls: false,
      hstsSec: null,
      isOwnHost: ({ host, port }) => (host === HERE || host === "relay.example") && port === this.port,
      trustedProxies: () => compileCidrs([]),
      presets: { all: FAKE_PRESETS, search: (text) => FAKE_PRESETS.filter(({ id }) => id.includes(text)) },
      files: PAGE,
      after: this.timers.after,
      nowMs: () => this.nowMs,
      signal: this.#ended.signal,
      onUnexpected: (error) => this.unexpected.push(error),
      ...options,
    });
    const served = serveApi(this.api, { bind: HERE, port: 0, tls: null, ...serve });
    if (!served.ok) throw new Error(served.error.message);
    this.#server = served.value;
    this.port = this.#server.port;
    this.url = `${serve.tls === undefined ? "http" : "https"}://${HERE}:${this.port}`;
  }

  /** As a page of ours sends it for the person. */
  session(name: string): Record<string, string> {
    const { secret, session } = this.backend.access.begin(name);
    return { cookie: `hatchway=${secret}`, [CSRF_HEADER]: session.csrf, origin: this.url };
  }

  token(name: string, ...scopes: Scope[]): Record<string, string> {
    return { authorization: `Bearer ${this.backend.access.token(name, scopes)}` };
  }

  fetch(path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, { redirect: "manual", ...init });
  }

  /** With a JSON body. */
  send(method: string, path: string, headers: Record<string, string>, body?: unknown): Promise<Response> {
    if (body === undefined) return this.fetch(path, { method, headers });
    return this.fetch(path, {
      method,
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  }

  /** Ends the streams, and the server goes on. */
  endStreams(): void {
    this.#ended.abort();
  }

  async close(): Promise<void> {
    this.#ended.abort();
    await this.#server.close();
  }

  #watched<T extends object>(part: string, target: T, quiet: readonly string[]): T {
    return new Proxy(target, {
      get: (object, name) => {
        const member: unknown = Reflect.get(object, name, object);
        if (typeof member !== "function" || typeof name !== "string") return member;
        return (...args: unknown[]): unknown => {
          if (quiet.includes(name)) return Reflect.apply(member, object, args);
          this.calls.push(`${part}.${name}`);
          const failure = this.failure;
          this.failure = null;
          return failure === null ? Reflect.apply(member, object, args) : Promise.reject(failure);
        };
      },
    });
  }
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
