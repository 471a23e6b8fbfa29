import type { z } from "../../wire/zod.ts";
import type { PingEvent } from "./checks-schema.ts";
import type { Following } from "./event-stream.ts";
import type { RouterReport } from "./router-schema.ts";
import type * as schema from "./schema.ts";
import type {
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
  Redeem,
  Role,
  Scope,
  SignIn,
  SshKey,
  SshKeyDraft,
  Token,
  TokenDraft,
  TrafficReport,
  Trigger,
  TriggerDraft,
  User,
  UserPatch,
  Visit,
  VpnChange,
  VpnPeer,
  VpnPeerDraft,
  VpnPeerPatch,
  VpnPeerReply,
  VpnServer,
} from "./schema.ts";
import type { PendingRestore, ReloadReport, RestoreInfo, Settings } from "./settings-schema.ts";

/** Who asks: a person with a session, or a token of theirs. */
export interface Principal {
  readonly userId: string;
  readonly name: string;
  readonly role: Role;
  readonly accountId: string;
  /** Null: a person, who may do everything that their role may. */
  readonly scopes: readonly Scope[] | null;
  /** Of the session or token, for its own end and for the audit log. */
  readonly credentialId: string;
}

/** Where a request comes from: for penalties, the list of sessions and the audit log; never a proof of anything. */
export interface Origin {
  readonly address: string;
  readonly userAgent: string;
}

export type FailureKind =
  /** 400 */
  | "invalid"
  /** 401: no credential, or a wrong one: the same words for all of them. */
  | "unauthorized"
  /** 401 with PROBLEM_TYPES.totp. */
  | "totp"
  /** 403 with PROBLEM_TYPES.setup: nobody can sign in before the one-time link is used. */
  | "setup"
  /** 403: known, and not allowed. */
  | "forbidden"
  /** 404: there is none, or it is another account's: nobody learns which. */
  | "not-found"
  /** 409 */
  | "conflict"
  /** 412 */
  | "changed"
  /** 429 with Retry-After. */
  | "limited"
  /** 503: the device is away, the gateway does not run. */
  | "unavailable"
  /** 507: the disk takes nothing. */
  | "storage";

/** What every method of a backend rejects with, and what the server makes a problem of. Other errors are a 500 and a log line. */
export class ApiFailure extends Error {
  override readonly name = "ApiFailure";
  readonly kind: FailureKind;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  readonly retryAfterSec: number | null;

  /** `message`: one sentence that says what to do. `errors`: by field of the request. */
  constructor(
    kind: FailureKind,
    message: string,
    more: {
      readonly errors?: readonly { readonly path: string; readonly message: string }[];
      readonly retryAfterSec?: number;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.kind = kind;
    this.errors = more.errors ?? [];
    this.retryAfterSec = more.retryAfterSec ?? null;
  }
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}
export interface PageRequest {
  readonly limit: number;
  readonly cursor: string | null;
}
/** With the version that `If-Match` names: any text that differs when the object does. */
export interface Versioned<T> {
  readonly value: T;
  readonly version: string;
}

/** A session that was begun: half of `secret` goes into the cookie, and half to the page, and neither anywhere else. */
export interface BegunSession {
  readonly secret: string;
  readonly session: Omit<z.infer<typeof schema.Session>, "pageKey">;
}

/** People, and how they prove who they are. Penalties grow with each failure, by name and by address. */
export interface AccessBackend {
  /** False: there is no administrator yet, and the one-time link waits. */
  isSetUp(): Promise<boolean>;
  signIn(request: SignIn, origin: Origin): Promise<BegunSession>;
  passkeyChallenge(origin: Origin): Promise<z.infer<typeof schema.PasskeyChallenge>>;
  signInByPasskey(answer: z.infer<typeof schema.PasskeyAnswer>, origin: Origin): Promise<BegunSession>;
  /** The one-time link of the first start, or an invitation: makes the person and signs them in. */
  redeem(request: Redeem, origin: Origin): Promise<BegunSession>;
  /** Null: there is no such session (any more). It is seen now. */
  bySession(
    secret: string,
    origin: Origin,
  ): Promise<{ readonly principal: Principal; readonly expiresMs: number } | null>;
  byToken(secret: string, origin: Origin): Promise<Principal | null>;
  signOut(who: Principal): Promise<void>;
  me(who: Principal): Promise<Me>;
  /** Ends every other session of the person. */
  changePassword(who: Principal, current: string, next: string): Promise<void>;
  beginTotp(who: Principal): Promise<z.infer<typeof schema.TotpSetup>>;
  confirmTotp(who: Principal, code: string): Promise<void>;
  removeTotp(who: Principal, password: string): Promise<void>;
  beginPasskey(who: Principal): Promise<z.infer<typeof schema.PasskeyChallenge>>;
  addPasskey(who: Principal, answer: z.infer<typeof schema.PasskeyAnswer>): Promise<z.infer<typeof schema.Passkey>>;
  listPasskeys(who: Principal): Promise<readonly z.infer<typeof schema.Passkey>[]>;
  removePasskey(who: Principal, id: string): Promise<void>;
  listSessions(who: Principal): Promise<readonly z.infer<typeof schema.SignedInSession>[]>;
  endSession(who: Principal, id: string): Promise<void>;
  listTokens(who: Principal): Promise<readonly Token[]>;
  makeToken(who: Principal, draft: TokenDraft): Promise<z.infer<typeof schema.MadeToken>>;
  removeToken(who: Principal, id: string): Promise<void>;
  listUsers(who: Principal, page: PageRequest): Promise<Page<User>>;
  changeUser(who: Principal, id: string, patch: UserPatch): Promise<User>;
  /** With everything that their account alone has. */
  removeUser(who: Principal, id: string): Promise<void>;
  listInvites(who: Principal): Promise<readonly Invite[]>;
  makeInvite(who: Principal, draft: InviteDraft): Promise<z.infer<typeof schema.MadeInvite>>;
  removeInvite(who: Principal, id: string): Promise<void>;
}

/**
 * What a relay or a gateway forwards, to which devices, and who comes, as one person may see and change it: an administrator
 * everything, others their account's.
 */
export interface ForwardsBackend {
  overview(who: Principal): Promise<Overview>;
  listForwards(
    who: Principal,
    page: PageRequest,
    filter: { readonly device: string | null; readonly text: string | null },
  ): Promise<Page<Forward>>;
  getForward(who: Principal, id: string): Promise<Versioned<Forward>>;
  previewForward(who: Principal, draft: ForwardDraft, replaces: string | null): Promise<ForwardPreview>;
  /** `replace`: one of the same name that was made here becomes this one; else that is a conflict. */
  addForward(who: Principal, draft: ForwardDraft, replace: boolean): Promise<Versioned<Forward>>;
  /** `version`: what it must still be; null = whatever it is. */
  changeForward(who: Principal, id: string, patch: ForwardPatch, version: string | null): Promise<Versioned<Forward>>;
  removeForward(who: Principal, id: string, version: string | null): Promise<void>;
  /** Sees whether visitors get in, and if not, which hop fails. */
  checkForward(who: Principal, id: string): Promise<CheckReport>;
  listDevices(who: Principal, page: PageRequest): Promise<Page<Device>>;
  getDevice(who: Principal, id: string): Promise<Device>;
  /** Ends its sessions, forwards and key. */
  removeDevice(who: Principal, id: string): Promise<void>;
  makeJoinCode(who: Principal, draft: JoinCodeDraft): Promise<z.infer<typeof schema.MadeJoinCode>>;
  listVisits(who: Principal, page: PageRequest): Promise<Page<Visit>>;
  /** Cuts it. */
  endVisit(who: Principal, id: string): Promise<void>;
  /** `forward`, `device`: by id; null = all together. */
  traffic(
    who: Principal,
    query: {
      readonly span: "hour" | "day";
      readonly sinceMs: number;
      readonly forward: string | null;
      readonly device: string | null;
    },
  ): Promise<TrafficReport>;
  /** Newest first. Administrators alone. */
  listAudit(who: Principal, page: PageRequest): Promise<Page<AuditEntry>>;
  /** What happens, from now on, until the signal aborts. */
  events(who: Principal, signal: AbortSignal): Following<LiveEvent>;
}

/**
 * What a gateway has beside its forwards, which are with the others. An administrator sees and changes all of it; others see
 * their account's peers, and choose the ports of those within what the account may have.
 */
export interface GatewayBackend {
  /** Null: there is no VPN yet. */
  vpn(who: Principal): Promise<VpnServer | null>;
  /** Makes the VPN, or changes its settings; its interface is up when this resolves. */
  changeVpn(who: Principal, change: VpnChange): Promise<VpnServer>;
  listVpnPeers(who: Principal, page: PageRequest): Promise<Page<VpnPeer>>;
  getVpnPeer(who: Principal, id: string): Promise<VpnPeer>;
  addVpnPeer(who: Principal, draft: VpnPeerDraft): Promise<VpnPeerReply>;
  /** With forwards of its `only` ports, or none of this: `conflict` when one is somebody else's. */
  changeVpnPeer(who: Principal, id: string, patch: VpnPeerPatch): Promise<VpnPeer>;
  /** The old keys open nothing any more. */
  rotateVpnPeer(who: Principal, id: string, keys: z.infer<typeof schema.VpnKeys>): Promise<VpnPeerReply>;
  /** With the forwards that lead to it. */
  removeVpnPeer(who: Principal, id: string): Promise<void>;
  listTriggers(who: Principal): Promise<readonly Trigger[]>;
  addTrigger(who: Principal, draft: TriggerDraft): Promise<Trigger>;
  removeTrigger(who: Principal, id: string): Promise<void>;
}

/** How SSH clients, who need no agent, come in: an administrator sees and changes every account's keys, others their own's. */
export interface SshBackend {
  /** Null: it does not listen for them. */
  server(who: Principal): Promise<z.infer<typeof schema.Ssh>["server"]>;
  /** `device`: name or id; null = of all. */
  listKeys(who: Principal, page: PageRequest, filter: { readonly device: string | null }): Promise<Page<SshKey>>;
  addKey(who: Principal, draft: SshKeyDraft): Promise<SshKey>;
  /** Its connections are cut when this resolves. */
  removeKey(who: Principal, fingerprint: string): Promise<void>;
}

/** What is measured when somebody asks. */
export interface ChecksBackend {
  /**
   * What begins to measure the way to a forward's service, `samples` times at most. One run of a credential at a time: the next
   * ends the one before. Rejects when the forward cannot be measured.
   */
  pingForward(who: Principal, id: string, samples: number): Promise<(signal: AbortSignal) => AsyncIterable<PingEvent>>;
  /** Looks up whether the visitors of a site's name come to this relay. */
  checkName(who: Principal, host: string): Promise<NameReport>;
  /** Asks the router of the server's own machine, once at a time: `limited` while somebody else does. */
  askRouter(who: Principal, signal: AbortSignal): Promise<RouterReport>;
}

/** The server itself. For administrators. */
export interface SettingsBackend {
  settings(who: Principal): Promise<Settings>;
  reload(who: Principal): Promise<ReloadReport>;
  /** A sealed file of all that the server is; leaving it early is no failure. */
  backup(who: Principal, passphrase: string): Promise<AsyncIterable<Uint8Array>>;
  pendingRestore(who: Principal): Promise<PendingRestore>;
  /** Takes a backup in, and changes nothing yet. */
  checkRestore(who: Principal, source: AsyncIterable<Uint8Array>, passphrase: string): Promise<RestoreInfo>;
  /** The next start takes what was checked. */
  stageRestore(who: Principal): Promise<RestoreInfo>;
  discardRestore(who: Principal): Promise<void>;
}

/** Where addresses are. */
export interface CountriesBackend {
  /** ISO 3166-1 alpha-2, in the order of the addresses; null = it is not known. */
  countriesOf(addresses: readonly string[]): Promise<readonly (string | null)[]>;
}

export interface ApiBackend {
  readonly access: AccessBackend;
  readonly forwards: ForwardsBackend;
  /** Null: this server is no gateway. */
  readonly gateway: GatewayBackend | null;
  /** Null: this server is no relay. */
  readonly ssh: SshBackend | null;
  readonly checks: ChecksBackend;
  readonly settings: SettingsBackend;
  /** Null: no database was given. */
  readonly countries: CountriesBackend | null;
}
