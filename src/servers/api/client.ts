import type { z } from "../../wire/zod.ts";
import type { Page } from "./backend.ts";
import { ApiProblem, type Fetch, HttpCaller, type Reading } from "./client-http.ts";
import { EVENTS_TYPE, LINES_TYPE, PASSPHRASE_HEADER } from "./protocol.ts";
import type * as shape from "./schema.ts";

export type { Page, Versioned } from "./backend.ts";
export { ApiProblem, type Fetch } from "./client-http.ts";
export { PAGE_KEY_HEADER, PROBLEM_TYPES } from "./protocol.ts";
// What the functions take and give, for whoever asks by them; the schemas themselves are the server's.
export type * from "./schema.ts";

type Of<T extends z.ZodType> = z.output<T>;
/** What a draft takes: what has a default may be absent. */
type In<T extends z.ZodType> = z.input<T>;

export interface TrafficAsk {
  /** Absent = hours. */
  readonly span?: "hour" | "day";
  readonly sinceMs?: number;
  /** Of this one alone, by id. */
  readonly forward?: string;
  /** Of this device's forwards, by its id. */
  readonly device?: string;
}

export interface PageAsk {
  readonly limit?: number;
  /** `next` of the page before. */
  readonly cursor?: string | null;
}

export interface Once {
  /** Sent again with the same key, it is done once. */
  readonly idempotencyKey?: string;
}

export interface ClientOptions {
  /** As `https://relay.example:8443`; "" = where the page comes from. */
  readonly baseUrl: string;
  readonly fetch?: Fetch;
  /** An API token; absent = the browser's session cookie. */
  readonly token?: string;
  /** Of a session that goes on; signing in and `getSession` set it. */
  readonly pageKey?: string;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
}

export type Client = ReturnType<typeof createClient>;

/**
 * The API as functions, one an operation of /openapi.json, in browsers, Bun and Node. They reject with `ApiProblem` when
 * the server refuses, and with fetch's own error when it cannot be reached.
 */
export function createClient(options: ClientOptions) {
  const http = new HttpCaller(options);
  const begin = async (path: string, body: unknown): Promise<Of<typeof shape.Session>> =>
    keep(await http.json<Of<typeof shape.Session>>("POST", path, body));
  const keep = (session: Of<typeof shape.Session>) => {
    http.pageKey = session.pageKey;
    return session;
  };
  return {
    getSetup: () => http.json<Of<typeof shape.Setup>>("GET", "/v1/setup"),
    getSession: async () => keep(await http.json<Of<typeof shape.Session>>("GET", "/v1/session")),
    signIn: (request: In<typeof shape.SignIn>) => begin("/v1/session", request),
    signOut: async () => {
      await http.done("DELETE", "/v1/session");
      http.pageKey = null;
    },
    beginPasskeySignIn: () => http.json<Of<typeof shape.PasskeyChallenge>>("POST", "/v1/session/passkey/challenge"),
    signInByPasskey: (answer: In<typeof shape.PasskeyAnswer>) => begin("/v1/session/passkey", answer),
    redeem: (request: In<typeof shape.Redeem>) => begin("/v1/invites/redeem", request),

    getMe: () => http.json<shape.Me>("GET", "/v1/me"),
    changePassword: (change: In<typeof shape.PasswordChange>) => http.done("PUT", "/v1/me/password", change),
    beginTotp: () => http.json<Of<typeof shape.TotpSetup>>("POST", "/v1/me/totp"),
    confirmTotp: (confirm: In<typeof shape.TotpConfirm>) => http.done("PUT", "/v1/me/totp", confirm),
    removeTotp: (proof: In<typeof shape.PasswordProof>) => http.done("POST", "/v1/me/totp/remove", proof),
    listPasskeys: () => http.json<Page<Of<typeof shape.Passkey>>>("GET", "/v1/me/passkeys"),
    beginPasskey: () => http.json<Of<typeof shape.PasskeyChallenge>>("POST", "/v1/me/passkeys/challenge"),
    addPasskey: (answer: In<typeof shape.PasskeyAnswer>) =>
      http.json<Of<typeof shape.Passkey>>("POST", "/v1/me/passkeys", answer),
    removePasskey: (id: string) => http.done("DELETE", `/v1/me/passkeys/${part(id)}`),
    listSessions: () => http.json<Page<Of<typeof shape.SignedInSession>>>("GET", "/v1/me/sessions"),
    endSession: (id: string) => http.done("DELETE", `/v1/me/sessions/${part(id)}`),
    listTokens: () => http.json<Page<shape.Token>>("GET", "/v1/tokens"),
    makeToken: (draft: In<typeof shape.TokenDraft>, once: Once = {}) =>
      http.json<Of<typeof shape.MadeToken>>("POST", "/v1/tokens", draft, once),
    removeToken: (id: string) => http.done("DELETE", `/v1/tokens/${part(id)}`),

    listUsers: (ask: PageAsk = {}) => http.json<Page<shape.User>>("GET", `/v1/users${query({ ...ask })}`),
    changeUser: (id: string, patch: In<typeof shape.UserPatch>) =>
      http.json<shape.User>("PATCH", `/v1/users/${part(id)}`, patch),
    removeUser: (id: string) => http.done("DELETE", `/v1/users/${part(id)}`),
    listInvites: () => http.json<Page<shape.Invite>>("GET", "/v1/invites"),
    makeInvite: (draft: In<typeof shape.InviteDraft>, once: Once = {}) =>
      http.json<Of<typeof shape.MadeInvite>>("POST", "/v1/invites", draft, once),
    removeInvite: (id: string) => http.done("DELETE", `/v1/invites/${part(id)}`),

    listForwards: (ask: PageAsk & { readonly device?: string; readonly text?: string } = {}) =>
      http.json<Page<shape.Forward>>("GET", `/v1/forwards${query({ ...ask })}`),
    /** `replace`: one of the same name that was made here becomes this one; else that is a conflict. */
    addForward: (
      draft: In<typeof shape.ForwardDraft>,
      { replace, ...once }: Once & { readonly replace?: boolean } = {},
    ) =>
      http.versioned<shape.Forward>(
        "POST",
        `/v1/forwards${query({ replace: replace === true ? "true" : null })}`,
        draft,
        once,
      ),
    previewForward: (draft: In<typeof shape.ForwardDraft>, replaces: string | null = null) =>
      http.json<shape.ForwardPreview>("POST", `/v1/forwards/preview${query({ replaces })}`, draft),
    getForward: (id: string) => http.versioned<shape.Forward>("GET", `/v1/forwards/${part(id)}`),
    /** `version`: of `getForward`; null = whatever it is. */
    changeForward: (id: string, patch: In<typeof shape.ForwardPatch>, version: string | null = null) =>
      http.versioned<shape.Forward>("PATCH", `/v1/forwards/${part(id)}`, patch, { version }),
    removeForward: (id: string, version: string | null = null) =>
      http.done("DELETE", `/v1/forwards/${part(id)}`, undefined, { version }),
    checkForward: (id: string) => http.json<shape.CheckReport>("POST", `/v1/forwards/${part(id)}/check`),

    /** Ends by itself after `samples`, or with the signal. */
    pingForward: (id: string, reading: Reading & { readonly samples?: number } = {}) =>
      http.stream<shape.PingEvent>(
        `/v1/forwards/${part(id)}/ping${query({ samples: reading.samples })}`,
        EVENTS_TYPE,
        reading,
      ),
    checkName: (question: In<typeof shape.NameQuestion>) =>
      http.json<shape.NameReport>("POST", "/v1/names/check", question),
    askRouter: () => http.json<shape.RouterReport>("POST", "/v1/router"),

    listDevices: (ask: PageAsk = {}) => http.json<Page<shape.Device>>("GET", `/v1/devices${query({ ...ask })}`),
    getDevice: (id: string) => http.json<shape.Device>("GET", `/v1/devices/${part(id)}`),
    removeDevice: (id: string) => http.done("DELETE", `/v1/devices/${part(id)}`),
    makeJoinCode: (draft: In<typeof shape.JoinCodeDraft>, once: Once = {}) =>
      http.json<Of<typeof shape.MadeJoinCode>>("POST", "/v1/join-codes", draft, once),

    getSsh: () => http.json<Of<typeof shape.Ssh>>("GET", "/v1/ssh"),
    listSshKeys: (ask: PageAsk & { readonly device?: string } = {}) =>
      http.json<Page<shape.SshKey>>("GET", `/v1/ssh/keys${query({ ...ask })}`),
    addSshKey: (draft: In<typeof shape.SshKeyDraft>, once: Once = {}) =>
      http.json<shape.SshKey>("POST", "/v1/ssh/keys", draft, once),
    removeSshKey: (fingerprint: string) => http.done("DELETE", `/v1/ssh/keys/${part(fingerprint)}`),

    getVpn: () => http.json<Of<typeof shape.Vpn>>("GET", "/v1/vpn"),
    changeVpn: (change: In<typeof shape.VpnChange>) => http.json<Of<typeof shape.Vpn>>("PUT", "/v1/vpn", change),
    listVpnPeers: (ask: PageAsk = {}) => http.json<Page<shape.VpnPeer>>("GET", `/v1/vpn/peers${query({ ...ask })}`),
    getVpnPeer: (id: string) => http.json<shape.VpnPeer>("GET", `/v1/vpn/peers/${part(id)}`),
    addVpnPeer: (draft: In<typeof shape.VpnPeerDraft>, once: Once = {}) =>
      http.json<shape.VpnPeerReply>("POST", "/v1/vpn/peers", draft, once),
    changeVpnPeer: (id: string, patch: In<typeof shape.VpnPeerPatch>) =>
      http.json<shape.VpnPeer>("PATCH", `/v1/vpn/peers/${part(id)}`, patch),
    rotateVpnPeer: (id: string, keys: In<typeof shape.VpnKeys>) =>
      http.json<shape.VpnPeerReply>("POST", `/v1/vpn/peers/${part(id)}/keys`, keys),
    removeVpnPeer: (id: string) => http.done("DELETE", `/v1/vpn/peers/${part(id)}`),
    listTriggers: () => http.json<Page<shape.Trigger>>("GET", "/v1/triggers"),
    addTrigger: (draft: In<typeof shape.TriggerDraft>, once: Once = {}) =>
      http.json<shape.Trigger>("POST", "/v1/triggers", draft, once),
    removeTrigger: (id: string) => http.done("DELETE", `/v1/triggers/${part(id)}`),

    getOverview: () => http.json<shape.Overview>("GET", "/v1/overview"),
    listVisits: (ask: PageAsk = {}) => http.json<Page<shape.Visit>>("GET", `/v1/visits${query({ ...ask })}`),
    getTraffic: (ask: TrafficAsk = {}) =>
      http.json<Of<typeof shape.TrafficReport>>("GET", `/v1/traffic${query({ ...ask })}`),
    endVisit: (id: string) => http.done("DELETE", `/v1/visits/${part(id)}`),
    listAudit: (ask: PageAsk = {}) => http.json<Page<shape.AuditEntry>>("GET", `/v1/audit${query({ ...ask })}`),
    /** All of it, newest first. */
    auditLines: (reading: Reading = {}): AsyncGenerator<shape.AuditEntry, void, void> =>
      http.stream<shape.AuditEntry>("/v1/audit", LINES_TYPE, reading),
    getSettings: () => http.json<shape.Settings>("GET", "/v1/settings"),
    /** `passphrase`: 12 characters at least; it is not kept anywhere. */
    makeBackup: (draft: In<typeof shape.BackupDraft>) => http.bytes("POST", "/v1/backup", draft),
    getRestore: () => http.json<shape.PendingRestore>("GET", "/v1/restore"),
    checkRestore: (file: Blob | Uint8Array<ArrayBuffer>, passphrase: string) =>
      http.upload<shape.RestoreInfo>("/v1/restore", file, { [PASSPHRASE_HEADER]: base64url(passphrase) }),
    stageRestore: () => http.json<shape.RestoreInfo>("POST", "/v1/restore/stage"),
    discardRestore: () => http.done("DELETE", "/v1/restore"),
    reload: () => http.json<Of<typeof shape.ReloadReport>>("POST", "/v1/reload"),
    listPresets: (q = "") => http.json<Page<shape.Preset>>("GET", `/v1/presets${query({ q })}`),
    /** From now on, until the signal aborts, or the session ends: it is not begun anew. */
    events: (reading: Reading = {}): AsyncGenerator<shape.LiveEvent, void, void> =>
      http.stream<shape.LiveEvent>("/v1/events", EVENTS_TYPE, reading),
  };
}

/** All items of a list, page by page: `everything((ask) => client.listForwards(ask))`. */
export async function* everything<T>(list: (ask: PageAsk) => Promise<Page<T>>): AsyncGenerator<T, void, void> {
  let cursor: string | null = null;
  do {
    const page: Page<T> = await list({ cursor });
    yield* page.items;
    cursor = page.next;
  } while (cursor !== null);
}

export function isProblem(error: unknown, type: string): error is ApiProblem {
  return error instanceof ApiProblem && error.problem.type === type;
}

function part(text: string): string {
  return encodeURIComponent(text);
}

function base64url(text: string): string {
  const binary = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** What is absent, null or "" is not sent. */
function query(values: Readonly<Record<string, string | number | null | undefined>>): string {
  const params = Object.entries(values)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  return params.length === 0 ? "" : `?${params.join("&")}`;
}
