import type * as schema from "../servers/api/schema.ts";
import type { z } from "../wire/zod.ts";
import { eventsOf } from "./event-stream.ts";
import { dropPageKey, keepPageKey, storedPageKey } from "./page-key.ts";

export type {
  AuditEntry,
  CheckReport,
  Device,
  Forward,
  ForwardDraft,
  ForwardPatch,
  ForwardPreview,
  Invite,
  InviteDraft,
  JoinCodeDraft,
  LiveEvent,
  Me,
  NameReport,
  Overview,
  PingEvent,
  Preset,
  Redeem,
  ReloadReport,
  RestoreInfo,
  Role,
  RouterReport,
  Scope,
  Session,
  Settings,
  SignIn,
  SiteOffer,
  SshKey,
  Token,
  TokenDraft,
  TrafficReport,
  Trigger,
  TriggerDraft,
  User,
  UserPatch,
  Visit,
  VpnMode,
  VpnPeer,
  VpnPeerDraft,
  VpnPeerPatch,
  VpnPeerReply,
  VpnServer,
} from "../servers/api/schema.ts";
export type MadeInvite = z.infer<typeof schema.MadeInvite>;
export type MadeJoinCode = z.infer<typeof schema.MadeJoinCode>;
export type MadeToken = z.infer<typeof schema.MadeToken>;
export type Passkey = z.infer<typeof schema.Passkey>;
export type PasskeyAnswer = z.infer<typeof schema.PasskeyAnswer>;
export type PasskeyChallenge = z.infer<typeof schema.PasskeyChallenge>;
export type PingSample = Extract<schema.PingEvent, { readonly event: "sample" }>;
export type SignedInSession = z.infer<typeof schema.SignedInSession>;
export type SshServer = NonNullable<z.infer<typeof schema.Ssh>["server"]>;
export type TotpSetup = z.infer<typeof schema.TotpSetup>;
export type VpnKeys = z.input<typeof schema.VpnKeys>;
export type VpnChange = z.input<typeof schema.VpnChange>;
/** What a server is; one may be both. */
export type ServerRole = schema.Overview["roles"][number];

/** The values of schema.ts's PROBLEM_TYPES: the console takes only types from there, and no zod into the browser. */
export const PROBLEM = {
  totp: "urn:hatchway:totp-needed",
  conflict: "urn:hatchway:port-conflict",
  changed: "urn:hatchway:changed",
} as const satisfies Partial<typeof schema.PROBLEM_TYPES>;
export const MIN_PASSPHRASE_CHARS = 12 satisfies typeof schema.MIN_PASSPHRASE_CHARS;
export const MIN_PASSWORD_CHARS = 10 satisfies typeof schema.MIN_PASSWORD_CHARS;

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}
export interface Versioned<T> {
  readonly value: T;
  /** For `If-Match`; null = the server says none. */
  readonly version: string | null;
}

export interface FieldProblem {
  readonly path: string;
  readonly message: string;
}

const UNREACHABLE = 0;

/** What a call rejects with. `message` is one sentence for people; `status` 0 = no answer came. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  readonly status: number;
  readonly type: string;
  readonly errors: readonly FieldProblem[];

  constructor(status: number, type: string, message: string, errors: readonly FieldProblem[] = []) {
    super(message);
    this.status = status;
    this.type = type;
    this.errors = errors;
  }

  /** What is wrong with one field of the request; null = nothing. */
  of(path: string): string | null {
    return this.errors.find((error) => error.path === path || error.path.startsWith(`${path}.`))?.message ?? null;
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** The sentence for people, of whatever was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Call {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly body?: unknown;
  /** Instead of a body: sent as it is. */
  readonly file?: File;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | null>>;
  readonly version?: string | null;
  readonly signal?: AbortSignal;
  /** Absent = JSON. */
  readonly accept?: string;
  /** It is sent also when the page is being left. */
  readonly keepalive?: boolean;
}

async function readProblem(response: Response): Promise<ApiProblem> {
  const otherwise = `The server answered ${response.status}; try again, and look at its log if it stays so.`;
  try {
    const body: Partial<schema.Problem> = await response.json();
    return new ApiProblem(response.status, body.type ?? "about:blank", body.detail ?? otherwise, body.errors ?? []);
  } catch {
    return new ApiProblem(response.status, "about:blank", otherwise);
  }
}

function urlOf(path: string, query: Call["query"]): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) if (value !== null) params.set(key, String(value));
  return params.size === 0 ? `/v1${path}` : `/v1${path}?${params}`;
}

function base64url(text: string): string {
  const binary = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const BYTES = "application/octet-stream";
const PAGE_LIMIT = 500;
/** Of the first page of a list: a table's first rows are there soon. */
const FIRST_LIMIT = 100;
const at = encodeURIComponent;

/** The HTTP API of this console's own server, as docs/api and /openapi.json have it. The only place that calls it. */
export class Api {
  /** Half of what proves the session; the cookie is the other, which browsers send to other ports of this host as well. */
  #pageKey: string | null = storedPageKey();
  #isSignedIn = false;
  readonly #onSignedOut: () => void;

  /** `onSignedOut`: the session ended while the page was open. */
  constructor(onSignedOut: () => void) {
    this.#onSignedOut = onSignedOut;
  }

  async #send(path: string, call: Call): Promise<Response> {
    const method = call.method ?? "GET";
    const headers = new Headers({ accept: call.accept ?? "application/json" });
    for (const [name, value] of Object.entries(call.headers ?? {})) headers.set(name, value);
    if (call.body !== undefined) headers.set("content-type", "application/json");
    if (call.file !== undefined) headers.set("content-type", BYTES);
    if (this.#pageKey !== null) headers.set("x-hatchway-page-key", this.#pageKey);
    if (call.version !== undefined && call.version !== null) headers.set("if-match", call.version);
    let response: Response;
    try {
      response = await fetch(urlOf(path, call.query), {
        method,
        headers,
        credentials: "same-origin",
        cache: "no-store",
        keepalive: call.keepalive ?? false,
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        ...(call.file === undefined ? {} : { body: call.file }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      });
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new ApiProblem(
        UNREACHABLE,
        "about:blank",
        "The server does not answer; check that it runs, then try again.",
      );
    }
    if (response.ok) return response;
    const problem = await readProblem(response);
    // While signing in, a 401 is the answer to the password.
    if (problem.status === 401 && this.#isSignedIn) {
      this.#forget();
      this.#onSignedOut();
    }
    throw problem;
  }

  async #json<T>(path: string, call: Call = {}): Promise<T> {
    return (await this.#send(path, call)).json();
  }

  async #stream<T>(path: string, call: Call): Promise<AsyncIterable<T>> {
    const { body } = await this.#send(path, { ...call, accept: "text/event-stream" });
    if (body === null) throw new Error("a stream of events has no body");
    return eventsOf<T>(body);
  }

  async #versioned<T>(path: string, call: Call = {}): Promise<Versioned<T>> {
    const response = await this.#send(path, call);
    return { value: await response.json(), version: response.headers.get("etag") };
  }

  async #done(path: string, call: Call): Promise<void> {
    await this.#send(path, call);
  }

  async #begin(path: string, call: Call = {}): Promise<schema.Session> {
    const session = await this.#json<schema.Session>(path, call);
    this.#pageKey = session.pageKey;
    this.#isSignedIn = true;
    keepPageKey(session.pageKey);
    return session;
  }

  #forget(): void {
    // Another page of this console may have signed in anew meanwhile: its key stays.
    if (this.#pageKey !== null) dropPageKey(this.#pageKey);
    this.#pageKey = null;
    this.#isSignedIn = false;
  }

  /** Every page of a list. `onPage` gets what has come so far, to show it. */
  async #all<T>(path: string, onPage?: (items: readonly T[]) => void, signal?: AbortSignal): Promise<readonly T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<T> = await this.#json(path, {
        query: { limit: cursor === null ? FIRST_LIMIT : PAGE_LIMIT, cursor },
        ...(signal === undefined ? {} : { signal }),
      });
      items.push(...page.items);
      cursor = page.next;
      onPage?.([...items]);
    } while (cursor !== null);
    return items;
  }

  async #items<T>(path: string, signal?: AbortSignal): Promise<readonly T[]> {
    return (await this.#json<Page<T>>(path, signal === undefined ? {} : { signal })).items;
  }

  // Who asks
  /** There is no administrator yet. */
  async isSetupNeeded(): Promise<boolean> {
    return (await this.#json<{ readonly needed: boolean }>("/setup")).needed;
  }
  session = (): Promise<schema.Session> => this.#begin("/session");
  signIn = (body: schema.SignIn): Promise<schema.Session> => this.#begin("/session", { method: "POST", body });
  async signOut(): Promise<void> {
    await this.#done("/session", { method: "DELETE" });
    this.#forget();
  }
  passkeyChallenge = (): Promise<PasskeyChallenge> => this.#json("/session/passkey/challenge", { method: "POST" });
  signInByPasskey = (body: PasskeyAnswer): Promise<schema.Session> =>
    this.#begin("/session/passkey", { method: "POST", body });
  redeem = (body: schema.Redeem): Promise<schema.Session> => this.#begin("/invites/redeem", { method: "POST", body });

  me = (): Promise<schema.Me> => this.#json("/me");
  changePassword = (current: string, next: string): Promise<void> =>
    this.#done("/me/password", { method: "PUT", body: { current, next } });
  beginTotp = (): Promise<TotpSetup> => this.#json("/me/totp", { method: "POST" });
  confirmTotp = (code: string): Promise<void> => this.#done("/me/totp", { method: "PUT", body: { code } });
  removeTotp = (password: string): Promise<void> =>
    this.#done("/me/totp/remove", { method: "POST", body: { password } });
  passkeys = (): Promise<readonly Passkey[]> => this.#items("/me/passkeys");
  beginPasskey = (): Promise<PasskeyChallenge> => this.#json("/me/passkeys/challenge", { method: "POST" });
  addPasskey = (body: PasskeyAnswer): Promise<Passkey> => this.#json("/me/passkeys", { method: "POST", body });
  removePasskey = (id: string): Promise<void> => this.#done(`/me/passkeys/${at(id)}`, { method: "DELETE" });
  sessions = (): Promise<readonly SignedInSession[]> => this.#items("/me/sessions");
  endSession = (id: string): Promise<void> => this.#done(`/me/sessions/${at(id)}`, { method: "DELETE" });

  tokens = (): Promise<readonly schema.Token[]> => this.#items("/tokens");
  makeToken = (body: schema.TokenDraft): Promise<MadeToken> => this.#json("/tokens", { method: "POST", body });
  removeToken = (id: string): Promise<void> => this.#done(`/tokens/${at(id)}`, { method: "DELETE" });

  users = (): Promise<readonly schema.User[]> => this.#all("/users");
  changeUser = (id: string, body: schema.UserPatch): Promise<schema.User> =>
    this.#json(`/users/${at(id)}`, { method: "PATCH", body });
  removeUser = (id: string): Promise<void> => this.#done(`/users/${at(id)}`, { method: "DELETE" });
  invites = (): Promise<readonly schema.Invite[]> => this.#items("/invites");
  makeInvite = (body: z.input<typeof schema.InviteDraft>): Promise<MadeInvite> =>
    this.#json("/invites", { method: "POST", body });
  removeInvite = (id: string): Promise<void> => this.#done(`/invites/${at(id)}`, { method: "DELETE" });

  // What is forwarded
  overview = (): Promise<schema.Overview> => this.#json("/overview");
  forwards = (onPage: (items: readonly schema.Forward[]) => void, signal: AbortSignal) =>
    this.#all<schema.Forward>("/forwards", onPage, signal);
  forward = (id: string): Promise<Versioned<schema.Forward>> => this.#versioned(`/forwards/${at(id)}`);
  /** `replaces`: the forward that is being changed, which is no conflict with itself. */
  preview = (body: schema.ForwardDraft, replaces: string | null, signal: AbortSignal): Promise<schema.ForwardPreview> =>
    this.#json("/forwards/preview", { method: "POST", body, query: { replaces }, signal });
  addForward = (body: schema.ForwardDraft): Promise<Versioned<schema.Forward>> =>
    this.#versioned("/forwards", { method: "POST", body });
  changeForward = (
    id: string,
    body: schema.ForwardPatch,
    version: string | null = null,
  ): Promise<Versioned<schema.Forward>> => this.#versioned(`/forwards/${at(id)}`, { method: "PATCH", body, version });
  removeForward = (id: string): Promise<void> =>
    this.#done(`/forwards/${at(id)}`, { method: "DELETE", keepalive: true });
  checkForward = (id: string): Promise<schema.CheckReport> =>
    this.#json(`/forwards/${at(id)}/check`, { method: "POST" });
  /** Resolves when the measurement begins. */
  ping = (id: string, samples: number, signal: AbortSignal): Promise<AsyncIterable<schema.PingEvent>> =>
    this.#stream(`/forwards/${at(id)}/ping`, { query: { samples }, signal });

  /** The router of the server's own machine. */
  checkName = (host: string, signal: AbortSignal): Promise<schema.NameReport> =>
    this.#json("/names/check", { method: "POST", body: { host }, signal });
  askRouter = (signal: AbortSignal): Promise<schema.RouterReport> => this.#json("/router", { method: "POST", signal });

  devices = (onPage: (items: readonly schema.Device[]) => void, signal: AbortSignal) =>
    this.#all<schema.Device>("/devices", onPage, signal);
  removeDevice = (id: string): Promise<void> => this.#done(`/devices/${at(id)}`, { method: "DELETE" });
  makeJoinCode = (body: z.input<typeof schema.JoinCodeDraft>): Promise<MadeJoinCode> =>
    this.#json("/join-codes", { method: "POST", body });

  /** Null: SSH clients are not served. */
  async ssh(): Promise<SshServer | null> {
    return (await this.#json<z.infer<typeof schema.Ssh>>("/ssh")).server;
  }
  sshKeys = (): Promise<readonly schema.SshKey[]> => this.#all("/ssh/keys");
  addSshKey = (body: schema.SshKeyDraft): Promise<schema.SshKey> => this.#json("/ssh/keys", { method: "POST", body });
  removeSshKey = (fingerprint: string): Promise<void> =>
    this.#done(`/ssh/keys/${at(fingerprint)}`, { method: "DELETE" });

  // What a gateway has beside forwards
  /** Null: there is no VPN yet. */
  async vpn(): Promise<schema.VpnServer | null> {
    return (await this.#json<z.infer<typeof schema.Vpn>>("/vpn")).server;
  }
  async changeVpn(body: VpnChange): Promise<schema.VpnServer | null> {
    return (await this.#json<z.infer<typeof schema.Vpn>>("/vpn", { method: "PUT", body })).server;
  }
  peers = (onPage: (items: readonly schema.VpnPeer[]) => void, signal: AbortSignal) =>
    this.#all<schema.VpnPeer>("/vpn/peers", onPage, signal);
  addPeer = (body: schema.VpnPeerDraft): Promise<schema.VpnPeerReply> =>
    this.#json("/vpn/peers", { method: "POST", body });
  changePeer = (id: string, body: schema.VpnPeerPatch): Promise<schema.VpnPeer> =>
    this.#json(`/vpn/peers/${at(id)}`, { method: "PATCH", body });
  rotatePeer = (id: string, body: VpnKeys): Promise<schema.VpnPeerReply> =>
    this.#json(`/vpn/peers/${at(id)}/keys`, { method: "POST", body });
  removePeer = (id: string): Promise<void> => this.#done(`/vpn/peers/${at(id)}`, { method: "DELETE" });
  triggers = (signal: AbortSignal): Promise<readonly schema.Trigger[]> => this.#items("/triggers", signal);
  addTrigger = (body: schema.TriggerDraft): Promise<schema.Trigger> =>
    this.#json("/triggers", { method: "POST", body });
  removeTrigger = (id: string): Promise<void> => this.#done(`/triggers/${at(id)}`, { method: "DELETE" });

  /** Resolves when the stream is open. */
  events = (signal: AbortSignal): Promise<AsyncIterable<schema.LiveEvent>> => this.#stream("/events", { signal });
  visits = (cursor: string | null): Promise<Page<schema.Visit>> =>
    this.#json("/visits", { query: { limit: PAGE_LIMIT, cursor } });
  traffic = (query: {
    readonly span: "hour" | "day";
    readonly sinceMs: number;
    readonly forward: string | null;
    readonly device: string | null;
  }) => this.#json<schema.TrafficReport>("/traffic", { query });
  endVisit = (id: string): Promise<void> => this.#done(`/visits/${at(id)}`, { method: "DELETE" });
  audit = (cursor: string | null): Promise<Page<schema.AuditEntry>> =>
    this.#json("/audit", { query: { limit: 100, cursor } });
  /** The sealed file. */
  async makeBackup(passphrase: string): Promise<Blob> {
    return (await this.#send("/backup", { method: "POST", body: { passphrase }, accept: BYTES })).blob();
  }
  async pendingRestore(): Promise<schema.RestoreInfo | null> {
    return (await this.#json<schema.PendingRestore>("/restore")).restore;
  }
  checkRestore = (file: File, passphrase: string): Promise<schema.RestoreInfo> =>
    this.#json("/restore", { method: "POST", file, headers: { "x-hatchway-passphrase": base64url(passphrase) } });
  stageRestore = (): Promise<schema.RestoreInfo> => this.#json("/restore/stage", { method: "POST" });
  discardRestore = (): Promise<void> => this.#done("/restore", { method: "DELETE" });
  settings = (): Promise<schema.Settings> => this.#json("/settings");
  reload = (): Promise<schema.ReloadReport> => this.#json("/reload", { method: "POST" });
  async presets(query: string, signal: AbortSignal): Promise<readonly schema.Preset[]> {
    return (await this.#json<Page<schema.Preset>>("/presets", { query: { q: query }, signal })).items;
  }
}
