import type { Generated, Kysely } from "kysely";
import type { AccessRole } from "../core/access/rights.ts";
import type { Origin } from "../core/forward.ts";
import type { VpnMode } from "../core/vpn/peers.ts";
import type { Protocol } from "../wire/port-set.ts";

/**
 * The tables as queries see them. Times are milliseconds since the epoch (`_ms`), truth values 0 or 1, keys and hashes
 * lower-case hexadecimal text, port sets text in canonical form. Plain types only, so that one schema fits PostgreSQL too.
 */
export type Schema = {
  accounts: AccountsTable;
  devices: DevicesTable;
  join_codes: JoinCodesTable;
  forwards: ForwardsTable;
  leases: LeasesTable;
  audit: AuditTable;
  mappings: MappingsTable;
  triggers: TriggersTable;
  gateway_facts: GatewayFactsTable;
  vpn_settings: VpnSettingsTable;
  vpn_peers: VpnPeersTable;
  users: UsersTable;
  sessions: SessionsTable;
  passkeys: PasskeysTable;
  tokens: TokensTable;
  invites: InvitesTable;
  traffic: TrafficTable;
  ssh_keys: SshKeysTable;
};

export type Db = Kysely<Schema>;

export interface AccountsTable {
  id: string;
  name: string;
  role: "admin" | "user";
  ports: string | null;
  quota_forwards: number | null;
  quota_ports: number | null;
  quota_devices: number | null;
  /** Bytes a second. */
  quota_bandwidth: number | null;
  created_ms: number;
}

export interface DevicesTable {
  id: string;
  account_id: string;
  name: string;
  public_key: string;
  ports: string | null;
  created_ms: number;
  last_seen_ms: number | null;
  last_address: string | null;
  revoked_ms: number | null;
}

export interface SshKeysTable {
  /** `SHA256:…` */
  fingerprint: string;
  device_id: string;
  type: string;
  /** Base64. */
  blob: string;
  comment: string;
  created_ms: number;
  last_used_ms: number | null;
}

export interface JoinCodesTable {
  id: string;
  account_id: string;
  device_name: string;
  secret_hash: string;
  ports: string | null;
  created_ms: number;
  expires_ms: number;
  used_ms: number | null;
  used_by: string | null;
  revoked_ms: number | null;
}

export interface ForwardsTable {
  device_id: string;
  spec_id: string;
  /** RemoteSpec as JSON. */
  spec: string;
  /** Of a forward that was assigned to the device: the host that it dials. Null = the device's own. */
  target: string | null;
  enabled: number;
  origin: Origin;
  created_ms: number;
  updated_ms: number;
}

export interface LeasesTable {
  device_id: string;
  forward_id: string;
  account_id: string;
  /** `group` is a word of SQL. */
  group_name: string | null;
  protocol: Protocol;
  first_port: number;
  last_port: number;
  /** The least power of two that is not below its number of ports. */
  reach: number;
  bind: string;
  expires_ms: number | null;
}

export interface MappingsTable {
  /** A device's id, or the address of a client that is none. */
  device: string;
  spec_id: string;
  account_id: string;
  /** MappingSpec as JSON. */
  spec: string;
  expires_ms: number | null;
  created_ms: number;
  updated_ms: number;
}

export interface TriggersTable {
  name: string;
  /** As JSON. */
  rule: string;
}

export interface GatewayFactsTable {
  name: string;
  value: string;
}

export interface TrafficTable {
  span: "hour" | "day";
  slot_ms: number;
  device_id: string;
  spec_id: string;
  account_id: string;
  device_name: string;
  name: string;
  bytes_in: number;
  bytes_out: number;
  visitors: number;
}

export interface AuditTable {
  id: Generated<number>;
  at_ms: number;
  actor: string;
  action: string;
  subject: string;
  /** A JSON object. */
  detail: string;
}

export interface VpnSettingsTable {
  id: number;
  network4: string;
  network6: string;
  listen_port: number;
  endpoint_host: string;
  /** Separated by blanks. */
  dns: string;
  mtu: number;
}

export interface VpnPeersTable {
  id: string;
  name: string;
  name_key: string;
  /** Null = the first account's. */
  account_id: string | null;
  /** Keys in base64 here, as WireGuard writes them. */
  public_key: string;
  preshared_key: string | null;
  v4: string;
  v6: string;
  mode: VpnMode["kind"];
  /** Null unless the mode is `only`. */
  ports: string | null;
  max_ports: number | null;
  created_ms: number;
  expires_ms: number | null;
  disabled: number;
  last_address: string | null;
  last_port: number | null;
  last_handshake_ms: number | null;
}

export interface UsersTable {
  id: string;
  account_id: string;
  name: string;
  name_key: string;
  role: AccessRole;
  /** PHC string of argon2id. */
  password_hash: string;
  /** Base32, as it is: it must be read to compute codes. The file's mode (0600) is what keeps it. */
  totp_secret: string | null;
  /** The step of the last code that was used. */
  totp_last_step: number | null;
  created_ms: number;
  last_seen_ms: number | null;
  disabled: number;
}

export interface SessionsTable {
  id: string;
  user_id: string;
  secret_hash: string;
  address: string;
  user_agent: string;
  created_ms: number;
  last_seen_ms: number;
}

export interface PasskeysTable {
  /** Base64url, as WebAuthn writes it. */
  id: string;
  user_id: string;
  name: string;
  /** COSE key. */
  public_key: string;
  counter: number;
  /** Separated by blanks. */
  transports: string;
  created_ms: number;
  last_used_ms: number | null;
}

export interface TokensTable {
  id: string;
  user_id: string;
  name: string;
  secret_hash: string;
  /** Separated by blanks. */
  scopes: string;
  created_ms: number;
  expires_ms: number | null;
  last_used_ms: number | null;
}

export interface InvitesTable {
  id: string;
  /** setup: the first administrator. invite: one more person. reset: a new password for `user_id`. */
  kind: "setup" | "invite" | "reset";
  secret_hash: string;
  role: AccessRole;
  /** Null: an account of their own. */
  account_id: string | null;
  user_id: string | null;
  created_ms: number;
  expires_ms: number;
}
