import type { ForwardPatch } from "../api/forward-patch.ts";
import type { AuditEntry, AuditRequest } from "./audit-schema.ts";
import type { CheckReport, CheckRequest } from "./check-schema.ts";
import type {
  InviteRequest,
  PersonChange,
  PersonInfo,
  ResetRequest,
  TokenInfo,
  TokenRemoval,
  TokenReply,
  TokenRequest,
  TokensRequest,
} from "./people-schema.ts";
import type { PingEvent, PingRequest } from "./ping-schema.ts";
import type {
  AddReply,
  AgentStatus,
  AssignRequest,
  AttachEvent,
  DeviceInfo,
  EventsRequest,
  FollowedEvent,
  ForwardInfo,
  ForwardSpec,
  GatewayStatus,
  JoinCodeRequest,
  MappingDraft,
  RelayStatus,
  ReloadReport,
  TriggerDraft,
  TriggerInfo,
  UpgradeReply,
  UpgradeRequest,
  VisitInfo,
} from "./schema.ts";
import type { SshHostInfo, SshKeyInfo, SshKeyRemoved, SshKeyRequest } from "./ssh-schema.ts";
import type {
  VpnInfo,
  VpnInitRequest,
  VpnKeys,
  VpnPeerDraft,
  VpnPeerInfo,
  VpnPeerPatch,
  VpnPeerReply,
} from "./vpn-schema.ts";

// Types only: the schemas take longer to make than all else of a start, so whoever checks values imports them.
export type { ForwardPatch } from "../api/forward-patch.ts";
export type * from "./audit-schema.ts";
export type * from "./check-schema.ts";
export * from "./error.ts";
export type * from "./people-schema.ts";
export type * from "./ping-schema.ts";
export { CONTROL_VERSION } from "./protocol.ts";
export type * from "./schema.ts";
export type * from "./ssh-schema.ts";
export type * from "./vpn-schema.ts";

/** The console's people, for whoever has the machine: a relay's, or a gateway's. */
export interface PeopleControl {
  /** Who may sign in to the console. */
  listPeople(): Promise<readonly PersonInfo[]>;
  /** Resolves with a link that makes one more person, once. */
  invitePerson(request: InviteRequest): Promise<string>;
  /** Resolves with a link by which that person sets a new password, once; one-time codes and sessions go then. */
  resetPerson(request: ResetRequest): Promise<string>;
  /** Disabling ends the person's sessions. `usage` when there is no such person, or nobody could change anything any more. */
  changePerson(change: PersonChange): Promise<PersonInfo>;
  /** With everything that their account alone has. Resolves with the person as they were. */
  removePerson(name: string): Promise<PersonInfo>;
  listTokens(request: TokensRequest): Promise<readonly TokenInfo[]>;
  makeToken(request: TokenRequest): Promise<TokenReply>;
  /** It ends at once. `usage` when there is no such token, or the name is not unique. */
  removeToken(request: TokenRemoval): Promise<TokenInfo>;
}

/** The keys by which SSH clients are devices. */
export interface SshKeysControl {
  listSshKeys(): Promise<readonly SshKeyInfo[]>;
  /** `usage` when it is no key, or another device's. On the disk when this resolves. */
  addSshKey(request: SshKeyRequest): Promise<SshKeyInfo>;
  /** Its connections end at once. `usage` when there is no such key, or the comment is not unique. */
  removeSshKey(fingerprintOrComment: string): Promise<SshKeyRemoved>;
  /** `usage` when the relay has no SSH server. */
  sshHost(): Promise<SshHostInfo>;
}

/**
 * What a running relay offers to local commands. Every method rejects with a ControlError.
 */
export interface RelayControl extends PeopleControl, SshKeysControl {
  status(): Promise<RelayStatus>;
  /** Every forward whose entry is on this relay, of every device, also of devices that are away. */
  listForwards(): Promise<readonly ForwardInfo[]>;
  /**
   * Gives a device a forward: it takes it up if its agent is managed, as soon as it is connected. Its ports are held from now
   * on, which is on the disk when this resolves. Rejects with `refused` or `failed` when they are not to be had.
   */
  addForward(request: AssignRequest): Promise<AddReply>;
  /**
   * What the patch does not name stays, connections that the new rules allow too. Of those that `removeForward` removes;
   * rejects as `addForward` does, and with `usage` when the patch makes no sense.
   */
  changeForward(nameOrId: string, device: string | null, patch: ForwardPatch): Promise<AddReply>;
  /**
   * Only forwards that `addForward` made; those that devices made are removed there (`usage`). `device`: its name or id, where
   * several have one of that name; null = whichever has it.
   */
  removeForward(idOrName: string, device: string | null): Promise<ForwardInfo>;
  listDevices(): Promise<readonly DeviceInfo[]>;
  /** Ends the device's sessions and forgets its key. `usage` when no such device, or the name is not unique. */
  revokeDevice(nameOrId: string): Promise<DeviceInfo>;
  /** Resolves with the code once it is on disk: what this returns survives a kill -9. */
  createJoinCode(request: JoinCodeRequest): Promise<string>;
  /** Reads the config again and applies what changed; connections of unchanged forwards live on. */
  reload(): Promise<ReloadReport>;
  /** The live connections and flows, oldest first. */
  visits(): Promise<readonly VisitInfo[]>;
  /** A page of the audit log. */
  audit(request: AuditRequest): Promise<readonly AuditEntry[]>;
  /**
   * Lets another process of this program take over. Resolves with the path of the socket where this one waits for it for some
   * seconds (wire/handover.ts); `failed` with the reason when it cannot be handed over now.
   */
  handOver(): Promise<string>;
  /** The process that was started to take over cannot, and says why: one sentence for whoever asked for the upgrade. */
  declineUpgrade(message: string): Promise<void>;
  /**
   * Starts `program` with this process's own arguments, which takes over. Resolves when it is the relay; `failed` when it has
   * ended before, and this one goes on as it was.
   */
  upgrade(request: UpgradeRequest): Promise<UpgradeReply>;
}

/**
 * What a running gateway offers to local commands. Every method rejects with a ControlError.
 */
export interface GatewayControl extends PeopleControl {
  status(): Promise<GatewayStatus>;
  /** Every mapping and pinhole, whoever asked for it. */
  listForwards(): Promise<readonly ForwardInfo[]>;
  /** Opens a mapping and keeps it over restarts. One of the same name is replaced. Rejects with `refused` or `failed`. */
  addMapping(draft: MappingDraft): Promise<AddReply>;
  /** See RelayControl; of those that people made. */
  changeForward(nameOrId: string, patch: ForwardPatch): Promise<AddReply>;
  /** Also those that clients asked for. What hatchway.toml lists is changed there (`usage`). */
  removeForward(idOrName: string): Promise<ForwardInfo>;
  listTriggers(): Promise<readonly TriggerInfo[]>;
  addTrigger(draft: TriggerDraft): Promise<TriggerInfo>;
  removeTrigger(name: string): Promise<TriggerInfo>;
  /** Makes a VPN, or changes its settings; its interface is up when this resolves. */
  vpnInit(request: VpnInitRequest): Promise<VpnInfo>;
  vpnList(): Promise<VpnInfo>;
  vpnAdd(draft: VpnPeerDraft): Promise<VpnPeerReply>;
  vpnChange(nameOrId: string, change: VpnPeerPatch): Promise<VpnPeerReply>;
  /** New keys: the old ones open nothing any more, all else stays. */
  vpnRotate(nameOrId: string, keys: VpnKeys): Promise<VpnPeerReply>;
  /** With the forwards that lead to it. */
  vpnRemove(nameOrId: string): Promise<VpnPeerInfo>;
  reload(): Promise<ReloadReport>;
  /** What the kernel leads now, oldest first (`NatVisits.list`). */
  visits(): Promise<readonly VisitInfo[]>;
  /**
   * What happened to the forwards after `since` (0 = all that is kept), oldest first. `follow`: and what is to come, until
   * `signal` aborts; else it ends there.
   */
  events(request: EventsRequest, signal: AbortSignal): AsyncIterable<FollowedEvent>;
  /** A page of the audit log. */
  audit(request: AuditRequest): Promise<readonly AuditEntry[]>;
  /** Ends the gateway. `clean`: the kernel is as it was before; else it goes on forwarding, for a start that follows. */
  stop(options: { readonly clean: boolean }): Promise<void>;
}

/**
 * What a running agent offers to local commands. Every method rejects with a ControlError.
 */
export interface AgentControl {
  status(): Promise<AgentStatus>;
  listForwards(): Promise<readonly ForwardInfo[]>;
  /**
   * Opens a forward and, when `lasting`, keeps it over restarts (on disk before this resolves). A forward of the
   * same id is replaced. Rejects with `refused` when the relay refuses it; while the relay is away a lasting
   * forward is kept and reported with state `waiting`.
   */
  addForward(spec: ForwardSpec, options: { readonly lasting: boolean }): Promise<AddReply>;
  /** See RelayControl; of public ports that `addForward` opened. */
  changeForward(nameOrId: string, patch: ForwardPatch): Promise<AddReply>;
  /** Only forwards that `addForward` made; what hatchway.toml lists is changed there (`usage`). */
  removeForward(idOrName: string): Promise<ForwardInfo>;
  /**
   * Whether a port can be reached, and if not where it fails. Takes up to ten seconds. Rejects with `refused` when the
   * relay does not check that, and `usage` when it makes no sense.
   */
  check(request: CheckRequest): Promise<CheckReport>;
  reload(): Promise<ReloadReport>;
  visits(): Promise<readonly VisitInfo[]>;
  /**
   * Foreground forwards (`expose`, `connect`): they live until `signal` aborts or the iteration is left, and no
   * longer. Each spec is answered by one `exposed` or `refused` (again after a reconnect when an endpoint changed).
   * `counters` come once a second. Ends quietly on abort and when every spec was refused; throws `unreachable` when
   * the agent itself stops.
   */
  attach(specs: readonly ForwardSpec[], signal: AbortSignal): AsyncIterable<AttachEvent>;
  /**
   * Measures a target on the direct and on the forwarded path, in turns, each way as this agent takes it. Ends by itself,
   * and quietly on abort. Rejects with `usage`, with `refused` when a policy forbids the forwarded path, and with
   * `unreachable` when the relay or the far agent is away.
   */
  ping(request: PingRequest, signal: AbortSignal): AsyncIterable<PingEvent>;
}
