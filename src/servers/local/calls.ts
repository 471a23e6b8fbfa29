import { z } from "../../wire/zod.ts";
import { ForwardPatch } from "../api/forward-patch.ts";
import { AuditEntry, AuditRequest } from "./audit-schema.ts";
import { CheckReport, CheckRequest } from "./check-schema.ts";
import {
  InviteRequest,
  LinkReply,
  PersonChange,
  PersonInfo,
  PersonRequest,
  ResetRequest,
  TokenInfo,
  TokenRemoval,
  TokenReply,
  TokenRequest,
  TokensRequest,
} from "./people-schema.ts";
import { CONTROL_VERSION } from "./protocol.ts";
import {
  AddReply,
  AgentStatus,
  AssignRequest,
  DeviceInfo,
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
import { SshHostInfo, SshKeyInfo, SshKeyRemoval, SshKeyRemoved, SshKeyRequest } from "./ssh-schema.ts";
import {
  VpnInfo,
  VpnInitRequest,
  VpnKeys,
  VpnPeerDraft,
  VpnPeerInfo,
  VpnPeerPatch,
  VpnPeerReply,
} from "./vpn-schema.ts";

/** One request of the local socket: `POST /v1/<name>` with `input` as JSON, answered by `{"v":1,"result":<output>}`. */
export interface Call {
  readonly input: z.ZodType;
  readonly output: z.ZodType;
}

const nothing = z.strictObject({});
const forwards = z.array(ForwardInfo).readonly();
const visits = z.array(VisitInfo).readonly();
const audit = { input: AuditRequest, output: z.array(AuditEntry).readonly() };
const nameOrId = z.string().min(1).max(255);

const PEOPLE_CALLS = {
  listPeople: { input: nothing, output: z.array(PersonInfo).readonly() },
  invitePerson: { input: InviteRequest, output: LinkReply },
  resetPerson: { input: ResetRequest, output: LinkReply },
  changePerson: { input: PersonChange, output: PersonInfo },
  removePerson: { input: PersonRequest, output: PersonInfo },
  listTokens: { input: TokensRequest, output: z.array(TokenInfo).readonly() },
  makeToken: { input: TokenRequest, output: TokenReply },
  removeToken: { input: TokenRemoval, output: TokenInfo },
} satisfies Record<string, Call>;

const SSH_KEY_CALLS = {
  listSshKeys: { input: nothing, output: z.array(SshKeyInfo).readonly() },
  addSshKey: { input: SshKeyRequest, output: SshKeyInfo },
  removeSshKey: { input: SshKeyRemoval, output: SshKeyRemoved },
  sshHost: { input: nothing, output: SshHostInfo },
} satisfies Record<string, Call>;

export const RELAY_CALLS = {
  status: { input: nothing, output: RelayStatus },
  listForwards: { input: nothing, output: forwards },
  addForward: { input: AssignRequest, output: AddReply },
  changeForward: {
    input: z.strictObject({ nameOrId, device: nameOrId.nullable(), patch: ForwardPatch }),
    output: AddReply,
  },
  removeForward: { input: z.strictObject({ nameOrId, device: nameOrId.nullable() }), output: ForwardInfo },
  listDevices: { input: nothing, output: z.array(DeviceInfo).readonly() },
  revokeDevice: { input: z.strictObject({ nameOrId }), output: DeviceInfo },
  createJoinCode: { input: JoinCodeRequest, output: z.object({ code: z.string() }) },
  ...PEOPLE_CALLS,
  ...SSH_KEY_CALLS,
  reload: { input: nothing, output: ReloadReport },
  visits: { input: nothing, output: visits },
  audit,
  handOver: { input: nothing, output: z.object({ socket: z.string() }) },
  declineUpgrade: { input: z.strictObject({ message: z.string().max(2_000) }), output: nothing },
  upgrade: { input: UpgradeRequest, output: UpgradeReply },
} satisfies Record<string, Call>;

export const AGENT_CALLS = {
  status: { input: nothing, output: AgentStatus },
  listForwards: { input: nothing, output: forwards },
  addForward: { input: z.strictObject({ spec: ForwardSpec, lasting: z.boolean() }), output: AddReply },
  changeForward: { input: z.strictObject({ nameOrId, patch: ForwardPatch }), output: AddReply },
  removeForward: { input: z.strictObject({ nameOrId }), output: ForwardInfo },
  check: { input: CheckRequest, output: CheckReport },
  reload: { input: nothing, output: ReloadReport },
  visits: { input: nothing, output: visits },
} satisfies Record<string, Call>;

export const GATEWAY_CALLS = {
  status: { input: nothing, output: GatewayStatus },
  listForwards: { input: nothing, output: forwards },
  addMapping: { input: z.strictObject({ draft: MappingDraft }), output: AddReply },
  changeForward: { input: z.strictObject({ nameOrId, patch: ForwardPatch }), output: AddReply },
  removeForward: { input: z.strictObject({ nameOrId }), output: ForwardInfo },
  listTriggers: { input: nothing, output: z.array(TriggerInfo).readonly() },
  addTrigger: { input: z.strictObject({ draft: TriggerDraft }), output: TriggerInfo },
  removeTrigger: { input: z.strictObject({ name: nameOrId }), output: TriggerInfo },
  vpnInit: { input: VpnInitRequest, output: VpnInfo },
  vpnList: { input: nothing, output: VpnInfo },
  vpnAdd: { input: VpnPeerDraft, output: VpnPeerReply },
  vpnChange: { input: z.strictObject({ nameOrId, change: VpnPeerPatch }), output: VpnPeerReply },
  vpnRotate: { input: z.strictObject({ nameOrId, keys: VpnKeys }), output: VpnPeerReply },
  vpnRemove: { input: z.strictObject({ nameOrId }), output: VpnPeerInfo },
  ...PEOPLE_CALLS,
  reload: { input: nothing, output: ReloadReport },
  visits: { input: nothing, output: visits },
  audit,
  stop: { input: z.strictObject({ clean: z.boolean() }), output: nothing },
} satisfies Record<string, Call>;

/** The functions behind a table of calls. */
export type Handlers<Calls extends Record<string, Call>> = {
  readonly [K in keyof Calls]: (input: z.infer<Calls[K]["input"]>) => Promise<z.infer<Calls[K]["output"]>>;
};

/** The one request that is answered by a stream: lines of AttachEvent, closed by the client to withdraw its forwards. */
export const ATTACH_PATH = `/v${CONTROL_VERSION}/attach`;

/** Another stream: lines of what happened to the gateway's forwards. */
export const EVENTS_PATH = `/v${CONTROL_VERSION}/events`;

/** Another stream: lines of PingEvent, closed by the client to stop measuring. */
export const PING_PATH = `/v${CONTROL_VERSION}/ping`;

export function callPath(name: string): string {
  return `/v${CONTROL_VERSION}/${name}`;
}
