import {
  type Client,
  createClient,
  type Fetch,
  PAGE_KEY_HEADER,
  type Page,
  type PageAsk,
} from "../servers/api/client.ts";
import type * as schema from "../servers/api/schema.ts";
import type { z } from "../wire/zod.ts";
import { dropPageKey, keepPageKey, storedPageKey } from "./page-key.ts";

export { ApiProblem, type Page, type PageAsk, PROBLEM_TYPES, type Versioned } from "../servers/api/client.ts";
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

export const MIN_PASSPHRASE_CHARS = 12 satisfies typeof schema.MIN_PASSPHRASE_CHARS;
export const MIN_PASSWORD_CHARS = 10 satisfies typeof schema.MIN_PASSWORD_CHARS;

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** The sentence for people, of whatever was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const PAGE_LIMIT = 500;
/** Of the first page of a list: a table's first rows are there soon. */
const FIRST_LIMIT = 100;

/** Every page of a list. `onPage` gets what has come so far, to show it. */
export async function readAll<T>(
  list: (ask: PageAsk) => Promise<Page<T>>,
  onPage?: (items: readonly T[]) => void,
): Promise<readonly T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<T> = await list({ limit: cursor === null ? FIRST_LIMIT : PAGE_LIMIT, cursor });
    items.push(...page.items);
    cursor = page.next;
    onPage?.([...items]);
  } while (cursor !== null);
  return items;
}

/** The API of this console's own server, by the client that apps have. */
export interface Api extends Client {
  /** The same calls, which end with the signal. */
  readonly until: (signal: AbortSignal) => Client;
}

/** `onSignedOut`: the session ended while the page was open. */
export function createApi(onSignedOut: () => void): Api {
  const session = new PageSession(onSignedOut);
  const options = { baseUrl: "", fetch: session.fetch };
  const client = createClient(options);
  const begin =
    <A extends readonly unknown[]>(call: (...args: A) => Promise<schema.Session>) =>
    async (...args: A): Promise<schema.Session> =>
      session.begin(await call(...args));
  return {
    ...client,
    until: (signal) => createClient({ ...options, signal }),
    getSession: begin(client.getSession),
    signIn: begin(client.signIn),
    signInByPasskey: begin(client.signInByPasskey),
    redeem: begin(client.redeem),
    signOut: async () => {
      await client.signOut();
      session.forget();
    },
  };
}

/** How this page asks: as whom, and what it says when no answer comes. */
class PageSession {
  /** Half of what proves the session; the cookie is the other, which browsers send to other ports of this host as well. */
  #pageKey = storedPageKey();
  #isSignedIn = false;
  readonly #onSignedOut: () => void;

  constructor(onSignedOut: () => void) {
    this.#onSignedOut = onSignedOut;
  }

  readonly fetch: Fetch = async (url, init) => {
    const headers = new Headers(init.headers);
    if (this.#pageKey === null) headers.delete(PAGE_KEY_HEADER);
    else headers.set(PAGE_KEY_HEADER, this.#pageKey);
    // What is removed is removed also when the page is being left.
    const keepalive = init.method === "DELETE";
    const response = await fetch(url, { ...init, headers, cache: "no-store", keepalive }).catch((error: unknown) => {
      if (isAbort(error)) throw error;
      throw new Error("The server does not answer; check that it runs, then try again.", { cause: error });
    });
    // While signing in, a 401 is the answer to the password.
    if (response.status === 401 && this.#isSignedIn) {
      this.forget();
      this.#onSignedOut();
    }
    return response;
  };

  begin(session: schema.Session): schema.Session {
    this.#pageKey = session.pageKey;
    this.#isSignedIn = true;
    keepPageKey(session.pageKey);
    return session;
  }

  forget(): void {
    // Another page of this console may have signed in anew meanwhile: its key stays.
    if (this.#pageKey !== null) dropPageKey(this.#pageKey);
    this.#pageKey = null;
    this.#isSignedIn = false;
  }
}
