// What apps get by `import { … } from "hatchway/client"`: package.json names this file. src/client.ts is held to it. It needs no
// other types than TypeScript's own; what the API takes and gives is beside it, made from the server's own schemas.
/// <reference lib="es2018.asynciterable" />
import type * as shape from "./client-shapes.d.ts";

export type * from "./client-shapes.d.ts";

/**
 * The API of a relay as functions, one an operation of its /openapi.json, in Bun, Node and browsers. They reject with
 * `ApiProblem` when the relay refuses, and with fetch's own error when it cannot be reached.
 *
 * @example
 * const client = createClient({ baseUrl: "https://relay.example:7780", token });
 * const { value, version } = await client.addForward({ device: "nas", ports: "25565" });
 * await client.changeForward(value.id, { enabled: false }, version);
 */
export function createClient(options: ClientOptions): Client;

export interface ClientOptions {
  /** As `https://relay.example:7780`; "" = where the page comes from. */
  readonly baseUrl: string;
  /** In place of the global one: to trust a certificate of your own, say. */
  readonly fetch?: Fetch;
  /** An API token; absent = the browser's session cookie. */
  readonly token?: string;
  /** Of a session that goes on; signing in and `getSession` set it. */
  readonly pageKey?: string;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
}

/** The part of `fetch` that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** One page of a list; `next` goes back as `cursor`, and null = this was the last. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

export interface PageAsk {
  /** 1 to 500; absent = 100. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly cursor?: string | null;
}

/** What was read, and the version that a change of it may name. */
export interface Versioned<T> {
  readonly value: T;
  readonly version: string;
}

export interface Once {
  /** Sent again with the same key within a day, it is done once. */
  readonly idempotencyKey?: string;
}

export interface Reading {
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal;
  /** The server has begun to answer: what a list says that is asked for now misses nothing that is told from now on. */
  readonly onOpen?: () => void;
}

export interface TrafficAsk {
  /** Absent = hours. */
  readonly span?: "hour" | "day";
  readonly sinceMs?: number;
  /** Of this one alone, by id. */
  readonly forward?: string;
  /** Of this device's forwards, by its id. */
  readonly device?: string;
}

export interface Client {
  // ── Forwards ──
  listForwards(ask?: PageAsk & { readonly device?: string; readonly text?: string }): Promise<Page<shape.Forward>>;
  /** `replace`: one of the same name that was made here becomes this one; else that is a conflict. */
  addForward(
    draft: shape.ForwardDraft,
    once?: Once & { readonly replace?: boolean },
  ): Promise<Versioned<shape.Forward>>;
  /** What a draft would do. Nothing is opened. `replaces`: the id of the forward that it is meant to become. */
  previewForward(draft: shape.ForwardDraft, replaces?: string | null): Promise<shape.ForwardPreview>;
  getForward(id: string): Promise<Versioned<shape.Forward>>;
  /** `version`: of `getForward`; absent = whatever it is. */
  changeForward(id: string, patch: shape.ForwardPatch, version?: string | null): Promise<Versioned<shape.Forward>>;
  removeForward(id: string, version?: string | null): Promise<void>;
  /** Sees whether visitors get in, and if not, which hop fails. */
  checkForward(id: string): Promise<shape.CheckReport>;
  /** The way to its service, once a second: ends by itself after `samples` (60 when absent), or with the signal. */
  pingForward(
    id: string,
    reading?: Reading & { readonly samples?: number },
  ): AsyncGenerator<shape.PingEvent, void, void>;
  /** Whether visitors of a site's name come to this relay, and else which DNS records it wants. */
  checkName(question: shape.NameQuestion): Promise<shape.NameReport>;
  /** The router of the server's own machine, and whether ports opened on it are reached. For administrators. */
  askRouter(): Promise<shape.RouterReport>;

  // ── Devices ──
  listDevices(ask?: PageAsk): Promise<Page<shape.Device>>;
  getDevice(id: string): Promise<shape.Device>;
  removeDevice(id: string): Promise<void>;
  makeJoinCode(draft: shape.JoinCodeDraft, once?: Once): Promise<shape.MadeJoinCode>;

  // ── SSH clients, who need no agent ──
  /** How they know the relay; `server` is null when it does not serve them. */
  getSsh(): Promise<shape.Ssh>;
  /** `device`: name or id. */
  listSshKeys(ask?: PageAsk & { readonly device?: string }): Promise<Page<shape.SshKey>>;
  addSshKey(draft: shape.SshKeyDraft, once?: Once): Promise<shape.SshKey>;
  /** Its connections end at once, with their ports. */
  removeSshKey(fingerprint: string): Promise<void>;

  // ── A gateway: its VPN and port triggers. A server that is none answers 404 ──
  getVpn(): Promise<shape.Vpn>;
  changeVpn(change: shape.VpnChange): Promise<shape.Vpn>;
  listVpnPeers(ask?: PageAsk): Promise<Page<shape.VpnPeer>>;
  getVpnPeer(id: string): Promise<shape.VpnPeer>;
  addVpnPeer(draft: shape.VpnPeerDraft, once?: Once): Promise<shape.VpnPeerReply>;
  changeVpnPeer(id: string, patch: shape.VpnPeerPatch): Promise<shape.VpnPeer>;
  /** New keys: the old ones open nothing any more. */
  rotateVpnPeer(id: string, keys: shape.VpnKeys): Promise<shape.VpnPeerReply>;
  removeVpnPeer(id: string): Promise<void>;
  listTriggers(): Promise<Page<shape.Trigger>>;
  addTrigger(draft: shape.TriggerDraft, once?: Once): Promise<shape.Trigger>;
  removeTrigger(id: string): Promise<void>;

  // ── The relay ──
  getOverview(): Promise<shape.Overview>;
  listVisits(ask?: PageAsk): Promise<Page<shape.Visit>>;
  endVisit(id: string): Promise<void>;
  getTraffic(ask?: TrafficAsk): Promise<shape.TrafficReport>;
  listAudit(ask?: PageAsk): Promise<Page<shape.AuditEntry>>;
  /** All of it, newest first. */
  auditLines(reading?: Reading): AsyncGenerator<shape.AuditEntry, void, void>;
  listPresets(text?: string): Promise<Page<shape.Preset>>;
  /** From now on, until the signal aborts, or the token ends: it is not begun anew. */
  events(reading?: Reading): AsyncGenerator<shape.LiveEvent, void, void>;

  // ── The server itself. For administrators ──
  getSettings(): Promise<shape.Settings>;
  /** The config file is read again. */
  reload(): Promise<shape.ReloadReport>;
  /** A sealed file of all that the server is. `passphrase`: 12 characters at least; it is kept nowhere. */
  makeBackup(draft: shape.BackupDraft): Promise<ReadableStream<Uint8Array>>;
  getRestore(): Promise<shape.PendingRestore>;
  /** Opens a backup at the server, and changes nothing yet. */
  checkRestore(file: Blob | Uint8Array<ArrayBuffer>, passphrase: string): Promise<shape.RestoreInfo>;
  /** The next start takes what was checked. */
  stageRestore(): Promise<shape.RestoreInfo>;
  discardRestore(): Promise<void>;

  // ── People. For administrators ──
  listUsers(ask?: PageAsk): Promise<Page<shape.User>>;
  changeUser(id: string, patch: shape.UserPatch): Promise<shape.User>;
  removeUser(id: string): Promise<void>;
  listInvites(): Promise<Page<shape.Invite>>;
  makeInvite(draft: shape.InviteDraft, once?: Once): Promise<shape.MadeInvite>;
  removeInvite(id: string): Promise<void>;

  // ── Oneself ──
  getMe(): Promise<shape.Me>;
  listTokens(): Promise<Page<shape.Token>>;
  makeToken(draft: shape.TokenDraft, once?: Once): Promise<shape.MadeToken>;
  removeToken(id: string): Promise<void>;
  changePassword(change: shape.PasswordChange): Promise<void>;
  beginTotp(): Promise<shape.TotpSetup>;
  confirmTotp(confirm: shape.TotpConfirm): Promise<void>;
  removeTotp(proof: shape.PasswordProof): Promise<void>;
  listPasskeys(): Promise<Page<shape.Passkey>>;
  beginPasskey(): Promise<shape.PasskeyChallenge>;
  addPasskey(answer: shape.PasskeyAnswer): Promise<shape.Passkey>;
  removePasskey(id: string): Promise<void>;
  listSessions(): Promise<Page<shape.SignedInSession>>;
  endSession(id: string): Promise<void>;

  // ── Signing in, in browsers ──
  getSetup(): Promise<shape.Setup>;
  getSession(): Promise<shape.Session>;
  signIn(request: shape.SignIn): Promise<shape.Session>;
  signOut(): Promise<void>;
  beginPasskeySignIn(): Promise<shape.PasskeyChallenge>;
  signInByPasskey(answer: shape.PasskeyAnswer): Promise<shape.Session>;
  redeem(request: shape.Redeem): Promise<shape.Session>;
}

/** All items of a list, page by page: `everything((ask) => client.listForwards(ask))`. */
export function everything<T>(list: (ask: PageAsk) => Promise<Page<T>>): AsyncGenerator<T, void, void>;

/** The relay refuses; `message` is a sentence that says what to do. */
export class ApiProblem extends Error {
  constructor(problem: shape.Problem, retryAfterSec?: number | null);
  readonly name: "ApiProblem";
  readonly problem: shape.Problem;
  /** Of a 429; null = it does not say. */
  readonly retryAfterSec: number | null;
}

/** Whether it is the `ApiProblem` of that type: `isProblem(error, PROBLEM_TYPES.changed)`. */
export function isProblem(error: unknown, type: string): error is ApiProblem;

/** Problems that share their status with others. */
export const PROBLEM_TYPES: {
  /** There is no administrator yet. */
  readonly setup: "urn:hatchway:setup-needed";
  /** The password was right, and a one-time code is wanted as well. */
  readonly totp: "urn:hatchway:totp-needed";
  /** It clashes with what is there: a port is somebody else's, or a name is taken. */
  readonly conflict: "urn:hatchway:port-conflict";
  /** It was changed since it was read. */
  readonly changed: "urn:hatchway:changed";
};
