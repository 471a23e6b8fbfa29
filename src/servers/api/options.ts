import type { After } from "../../os/timers.ts";
import type { CidrSet } from "../../wire/address.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import type { StaticFiles } from "./files.ts";
import type { PresetSource } from "./operation.ts";

export interface ApiOptions {
  /** Of the program, for the document. */
  readonly version: string;
  /** Whether it is served over TLS: the cookie is then Secure and for this host alone. */
  readonly tls: boolean;
  /** Strict-Transport-Security, which is for every port of the name: null where plain HTTP is forwarded at that name too. */
  readonly hstsSec: number | null;
  /** Whether this is us: a name in lower case or an address in canonical text, and a port. Asked at each request. */
  isOwnHost(host: HostPort): boolean;
  /** Reverse proxies whose X-Forwarded-For is believed. Asked at each request. */
  trustedProxies(): CidrSet;
  readonly presets: PresetSource;
  /** The console; empty = there is none. */
  readonly files: StaticFiles;
  /** What /metrics answers, in the text format of Prometheus; absent = there is no such page. */
  metrics?(): Promise<string>;
  readonly limits?: Partial<ApiLimits>;
  readonly after: After;
  nowMs(): number;
  /** Ends the streams. */
  readonly signal: AbortSignal;
  /** Told of exceptions: programming errors. */
  onUnexpected(error: unknown): void;
}

export interface ApiLimits {
  readonly maxBodyBytes: number;
  /** From a request's head to its body's last byte. */
  readonly bodyDeadlineMs: number;
  /** Requests that are answered at once for one address (IPv6: one network); behind a trusted proxy, the visitor's. */
  readonly maxPerAddress: number;
  /** Event streams at once for one person. */
  readonly maxStreamsPerUser: number;
}

export const API_LIMITS: ApiLimits = {
  maxBodyBytes: 256 * 1_024,
  bodyDeadlineMs: 10_000,
  maxPerAddress: 64,
  maxStreamsPerUser: 16,
};

/** Where a request comes from, as the server saw it. */
export interface RequestInfo {
  /** The peer's, without a port. */
  readonly address: string;
  /** The connection may be without a byte for so long from now on; null = as usual. */
  allow?(idleSec: number | null): void;
}
