import { randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import {
  addPeer,
  changePeer,
  type NewVpnPeer,
  peerOutside,
  rotatePeer,
  sameName,
  type VpnMode,
  type VpnPeer,
  type VpnPeerChange,
  type VpnPeerKeys,
  type VpnRefusal,
} from "../core/vpn/peers.ts";
import type { VpnSettings } from "../core/vpn/settings.ts";
import { type Cidr, parseCidr } from "../wire/address.ts";
import type { Endpoint } from "../wire/endpoint.ts";
import { formatPortSet, parsePortSet } from "../wire/port-set.ts";
import { err, ok, type Result } from "../wire/result.ts";
import { quoted } from "../wire/text-error.ts";
import { parseKey, type WgKey } from "../wire/wireguard/key.ts";
import { appendAudit, OPERATOR } from "./audit.ts";
import type { Db, VpnPeersTable, VpnSettingsTable } from "./schema.ts";

/** A peer, and where it was when it was last heard from. */
export interface StoredVpnPeer extends VpnPeer {
  readonly lastEndpoint: Endpoint | null;
  readonly lastHandshakeMs: number | null;
}

export interface VpnPeerError {
  readonly kind: VpnRefusal["kind"] | "unknown" | "noServer" | "outside";
  /** One sentence that says what to do. */
  readonly message: string;
}

export interface VpnSeen {
  readonly publicKey: WgKey;
  readonly endpoint: Endpoint;
  readonly handshakeMs: number;
}

type Outcome<T> = Promise<Result<T, VpnPeerError>>;

/** The VPN server and its peers. No private key is here: the server's is a file, a peer's is shown once and forgotten. */
export interface VpnPeers {
  /** Null = no VPN server was set up. */
  settings(): Promise<VpnSettings | null>;
  /** Refused when a peer's addresses would be outside: addresses stay. */
  setSettings(settings: VpnSettings, nowMs: number, actor?: string): Outcome<VpnSettings>;
  /** In the order of their creation. */
  list(): Promise<StoredVpnPeer[]>;
  find(nameOrId: string): Outcome<StoredVpnPeer>;
  add(request: Omit<NewVpnPeer, "id">, nowMs: number, actor?: string): Outcome<VpnPeer>;
  change(nameOrId: string, change: VpnPeerChange, nowMs: number, actor?: string): Outcome<VpnPeer>;
  /** The old keys open nothing as soon as this is applied; the peer keeps all else. */
  rotate(nameOrId: string, keys: VpnPeerKeys, nowMs: number, actor?: string): Outcome<VpnPeer>;
  /** Its addresses are free for the next peer: whoever calls this removes what leads to them first. */
  remove(nameOrId: string, nowMs: number, actor?: string): Outcome<VpnPeer>;
  /** Notes where peers were heard from, in one transaction. Now and then, not at every look: each call is an fsync. */
  seen(sightings: readonly VpnSeen[]): Promise<void>;
}

const ID_BYTES = 8;
const SETTINGS_ROW = 1;
const LIST_SEPARATOR = " ";

export function vpnPeersOn(db: Db): VpnPeers {
  const inTransaction = <T>(work: (trx: Db) => Outcome<T>): Outcome<T> => db.transaction().execute(work);
  return {
    settings: () => readSettings(db),
    setSettings: (settings, nowMs, actor = OPERATOR) =>
      inTransaction(async (trx) => {
        const outside = peerOutside(await listPeers(trx), settings);
        if (outside !== null) {
          const message = `The peer ${quoted(outside.name)} (${outside.v4}) has no place in these networks; remove it first.`;
          return err({ kind: "outside", message });
        }
        const row = { id: SETTINGS_ROW, ...toSettingsRow(settings) };
        const { id: _, ...values } = row;
        await trx
          .insertInto("vpn_settings")
          .values(row)
          .onConflict((conflict) => conflict.column("id").doUpdateSet(values))
          .execute();
        await appendAudit(trx, { actor, action: "vpn.set", subject: "vpn", detail: { ...settings } }, nowMs);
        return ok(settings);
      }),
    list: () => listPeers(db),
    find: async (nameOrId) => peerAmong(await listPeers(db), nameOrId),
    add: (request, nowMs, actor = OPERATOR) =>
      inTransaction(async (trx) => {
        const settings = await readSettings(trx);
        if (settings === null)
          return err({ kind: "noServer", message: "Set the VPN server up before you add a peer." });
        const id = randomBytes(ID_BYTES).toString("hex");
        const added = addPeer(await listPeers(trx), settings, { ...request, id }, nowMs);
        if (!added.ok) return added;
        await trx
          .insertInto("vpn_peers")
          .values({ ...toRow(added.value), ...NEVER_SEEN })
          .execute();
        await tell(trx, "added", added.value, { mode: modeText(added.value.mode) }, nowMs, actor);
        return added;
      }),
    change: (nameOrId, change, nowMs, actor = OPERATOR) =>
      inTransaction(async (trx) => {
        const { mode, ...rest } = change;
        const detail = { ...rest, ...(mode === undefined ? {} : { mode: modeText(mode) }) };
        return update(
          trx,
          nameOrId,
          (peers, peer) => changePeer(peers, peer, change, nowMs),
          (changed) => tell(trx, "changed", changed, detail, nowMs, actor),
        );
      }),
    rotate: (nameOrId, keys, nowMs, actor = OPERATOR) =>
      inTransaction((trx) =>
        update(
          trx,
          nameOrId,
          (peers, peer) => rotatePeer(peers, peer, keys),
          (rotated) => tell(trx, "rotated", rotated, { publicKey: rotated.publicKey }, nowMs, actor),
        ),
      ),
    remove: (nameOrId, nowMs, actor = OPERATOR) =>
      inTransaction(async (trx) => {
        const found = peerAmong(await listPeers(trx), nameOrId);
        if (!found.ok) return found;
        await trx.deleteFrom("vpn_peers").where("id", "=", found.value.id).execute();
        // The log says who had which address when, also after the row is gone.
        const { v4, v6 } = found.value;
        await tell(trx, "removed", found.value, { v4, v6 }, nowMs, actor);
        return found;
      }),
    async seen(sightings) {
      if (sightings.length === 0) return;
      await db.transaction().execute(async (trx) => {
        for (const { publicKey, endpoint, handshakeMs } of sightings) {
          await trx
            .updateTable("vpn_peers")
            .set({ last_address: endpoint.address, last_port: endpoint.port, last_handshake_ms: handshakeMs })
            .where("public_key", "=", publicKey)
            .execute();
        }
      });
    },
  };
}

const NEVER_SEEN = { last_address: null, last_port: null, last_handshake_ms: null };

async function readSettings(db: Db): Promise<VpnSettings | null> {
  const row = await db.selectFrom("vpn_settings").selectAll().where("id", "=", SETTINGS_ROW).executeTakeFirst();
  return row === undefined ? null : toSettings(row);
}

async function listPeers(db: Db): Promise<StoredVpnPeer[]> {
  const rows = await db.selectFrom("vpn_peers").selectAll().orderBy("created_ms").orderBy("id").execute();
  return rows.map(toPeer);
}

/** An id wins over a name that is spelled like it. */
function peerAmong(peers: readonly StoredVpnPeer[], nameOrId: string): Result<StoredVpnPeer, VpnPeerError> {
  const peer = peers.find(({ id }) => id === nameOrId) ?? peers.find(({ name }) => sameName(name, nameOrId));
  if (peer !== undefined) return ok(peer);
  return err({ kind: "unknown", message: `There is no VPN peer ${quoted(nameOrId)}: see \`hatchway vpn ls\`.` });
}

async function update(
  trx: Db,
  nameOrId: string,
  decide: (peers: readonly VpnPeer[], peer: VpnPeer) => Result<VpnPeer, VpnRefusal>,
  told: (peer: VpnPeer) => Promise<void>,
): Outcome<VpnPeer> {
  const peers = await listPeers(trx);
  const found = peerAmong(peers, nameOrId);
  if (!found.ok) return found;
  const { lastEndpoint: _, lastHandshakeMs: __, ...peer } = found.value;
  const decided = decide(peers, peer);
  if (!decided.ok) return decided;
  const { id, ...values } = toRow(decided.value);
  await trx.updateTable("vpn_peers").set(values).where("id", "=", id).execute();
  await told(decided.value);
  return decided;
}

async function tell(
  trx: Db,
  what: string,
  { id, name }: VpnPeer,
  more: Readonly<Record<string, unknown>>,
  nowMs: number,
  actor: string,
): Promise<void> {
  const event = { actor, action: `vpn-peer.${what}`, subject: `vpn-peer:${id}`, detail: { name, ...more } };
  await appendAudit(trx, event, nowMs);
}

function modeText(mode: VpnMode): string {
  return mode.kind === "only" ? `only ${formatPortSet(mode.ports)}` : mode.kind;
}

function toRow(peer: VpnPeer): Omit<Selectable<VpnPeersTable>, keyof typeof NEVER_SEEN> {
  return {
    id: peer.id,
    name: peer.name,
    account_id: peer.account,
    name_key: peer.name.toLowerCase(),
    public_key: peer.publicKey,
    preshared_key: peer.presharedKey,
    v4: peer.v4,
    v6: peer.v6,
    mode: peer.mode.kind,
    ports: peer.mode.kind === "only" ? formatPortSet(peer.mode.ports) : null,
    max_ports: peer.maxPorts,
    created_ms: peer.createdMs,
    expires_ms: peer.expiresMs,
    disabled: peer.disabled ? 1 : 0,
  };
}

function toPeer(row: Selectable<VpnPeersTable>): StoredVpnPeer {
  const { last_address: address, last_port: port } = row;
  return {
    id: row.id,
    name: row.name,
    account: row.account_id,
    publicKey: stored(parseKey(row.public_key)),
    presharedKey: row.preshared_key === null ? null : stored(parseKey(row.preshared_key)),
    v4: row.v4,
    v6: row.v6,
    mode: row.mode === "only" ? { kind: "only", ports: stored(parsePortSet(row.ports ?? "")) } : { kind: row.mode },
    maxPorts: row.max_ports,
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
    disabled: row.disabled !== 0,
    lastEndpoint: address === null || port === null ? null : { address, port },
    lastHandshakeMs: row.last_handshake_ms,
  };
}

function toSettingsRow(settings: VpnSettings): Omit<Selectable<VpnSettingsTable>, "id"> {
  return {
    network4: settings.network4,
    network6: settings.network6,
    listen_port: settings.listenPort,
    endpoint_host: settings.endpointHost,
    dns: settings.dns.join(LIST_SEPARATOR),
    mtu: settings.mtu,
  };
}

function toSettings(row: Selectable<VpnSettingsTable>): VpnSettings {
  return {
    network4: stored<Cidr>(parseCidr(row.network4)),
    network6: stored<Cidr>(parseCidr(row.network6)),
    listenPort: row.listen_port,
    endpointHost: row.endpoint_host,
    dns: row.dns === "" ? [] : row.dns.split(LIST_SEPARATOR),
    mtu: row.mtu,
  };
}

/** What is in the database was checked before it came there: anything else is a fault of ours. */
function stored<T>(parsed: Result<T, { readonly message: string }>): T {
  if (!parsed.ok) throw new Error(`the database has a value that was never written: ${parsed.error.message}`);
  return parsed.value;
}
