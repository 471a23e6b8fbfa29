import type { Logger } from "@logtape/logtape";
import { entryError } from "../../../dataplanes/io/entry-error.ts";
import type { PortSharing } from "../../../dataplanes/io/port-sharing.ts";
import type { ProxyGate } from "../../../dataplanes/io/proxy-gate.ts";
import type { Sweeper } from "../../../dataplanes/io/sweeper.ts";
import type { Visits } from "../../../dataplanes/io/visits.ts";
import { monotonicMs, nowMs as wallMs } from "../../../os/clock.ts";
import { errorCode, messageOf } from "../../../os/errors.ts";
import { readText } from "../../../os/files.ts";
import { VERSION } from "../../../os/version.ts";
import { SshServer, type SshServerOptions } from "../../../servers/ssh/server.ts";
import type { Store } from "../../../store/store.ts";
import { keyProblem, parseKeyText, type SshKey } from "../../../wire/ssh/public-key.ts";
import { ControlError, type SshSettings } from "../../control.ts";
import type { DeviceLink } from "../device-link.ts";
import type { RelayDials } from "../dials.ts";
import type { RelayForwards } from "../forwards.ts";
import type { Gate } from "../gate.ts";
import { noteSeen } from "../seen.ts";
import { findCarried, findPrincipal, type SshPrincipal } from "./authority.ts";
import type { HandedOverSsh } from "./handed-over.ts";
import { loadHostKey } from "./host-key.ts";
import { SshHub } from "./hub.ts";
import type { ClientConnection } from "./model.ts";
import { Passage } from "./passage.ts";
import { SshSockets } from "./sockets.ts";

export interface OpenSshOptions {
  readonly store: Store;
  readonly dataDir: string;
  readonly settings: SshSettings;
  readonly forwards: RelayForwards;
  readonly dials: RelayDials;
  readonly sweeper: Sweeper;
  /** Where load balancers say who the clients are. */
  readonly proxyGate: ProxyGate;
  readonly log: Logger;
  /** The agent of that account by that name is connected. */
  hasAgentCalled(account: string, name: string): boolean;
  hasAgent(deviceId: string): boolean;
  /** The relay lets devices in. */
  serving(): boolean;
  draining(): boolean;
  /** How its port passes from one process to the next. */
  readonly sharing: PortSharing;
  /** What changes the store waits for it. */
  readonly gate: Pick<Gate, "passed">;
  /** All that was open by SSH for this device at a process before this one is open here. */
  arrived(deviceId: string): void;
  publicHost(localAddress: string): string;
  /** A wrong credential was shown. */
  onDenied(): void;
  onUnexpected(error: unknown): void;
}

/** The relay's SSH server, with what it knows of the relay. */
export interface RelaySsh extends HandedOverSsh {
  readonly listener: { readonly port: number };
  /** `ssh-ed25519 AAAA…`. */
  readonly hostKey: string;
  readonly fingerprint: string;
  /** Connections, now: of devices, and of those that have not proved yet who they are. */
  readonly counts: SshServer<SshPrincipal>["counts"];
  link(deviceId: string): DeviceLink | undefined;
  /** See SshHub. */
  agentUp(deviceId: string): void;
  cut(deviceId: string): void;
  cutKey(deviceId: string, fingerprint: string): void;
  /** What passes through here from and to the process that is the relay. */
  readonly passing: Visits;
  close(): void;
}

/** Rejects with ControlError: `failed` when it cannot listen, `usage` for a CA file that is none. */
export async function openSsh(options: OpenSshOptions): Promise<RelaySsh> {
  const { store, settings, sweeper, log, forwards, dials, draining, gate, onUnexpected } = options;
  const trusted = await readCas(settings.trustedUserCa);
  const hostKey = await loadHostKey(options.dataDir);
  const sockets = new SshSockets({ directory: () => settings.sockets, sweeper, visits: dials.visits });
  const hub = new SshHub(
    {
      forwards,
      dials,
      sockets,
      hasAgentCalled: options.hasAgentCalled,
      hasAgent: options.hasAgent,
      draining,
      publicHost: options.publicHost,
      connected: ({ peer }, connection) => {
        log.info("a device connected by SSH", { device: peer.name, address: connection.remoteAddress });
      },
      disconnected: ({ peer }, why) => log.info("a device's SSH connection ended", { device: peer.name, why }),
      failed: onUnexpected,
    },
    gate,
  );
  const seen = ({ peer, keyFingerprint }: SshPrincipal, connection: ClientConnection) => {
    noteSeen(store, { deviceId: peer.deviceId, from: connection.remoteAddress, keyFingerprint }, wallMs())
      .then(async (standing) => {
        if (standing === "good") return;
        connection.close(standing === "revoked" ? "its device was revoked" : "its key was removed");
        if (standing === "revoked") await forwards.removeDevice(peer.deviceId);
      })
      .catch(onUnexpected);
  };
  const passage = new Passage({
    dataDir: options.dataDir,
    hub,
    sweeper,
    gate,
    find: (device, key) => findCarried(store, device, key),
    open: (principal, connection) => {
      const client = hub.join(principal, connection);
      seen(principal, connection);
      return client;
    },
    arrived: options.arrived,
    failed: onUnexpected,
  });
  const server = serverOf({
    hostname: settings.listen.host === "*" ? "::" : settings.listen.host,
    port: settings.listen.port,
    hostKey,
    version: VERSION,
    sweeper,
    sharing: options.sharing,
    gate: options.proxyGate,
    nowMs: monotonicMs,
    random: Math.random,
    find: async (credential, address) => {
      // A client that came to this process stays here in any case.
      await passage.decided();
      return findPrincipal({ store, trusted: () => trusted, wallMs }, credential, address);
    },
    serving: () => options.serving() || passage.isGiven,
    open: (principal, connection) => {
      const handler = hub.open(principal, connection);
      // Otherwise the process notes it that takes the client in.
      if (!passage.isGiven) seen(principal, connection);
      return handler;
    },
    onDenied: (address, afterMs) => {
      options.onDenied();
      log.warn("an SSH credential was refused", { address, afterMs });
    },
    onUnexpected,
  });
  passage.listen();
  return {
    get listener() {
      return { port: server.port };
    },
    listen: () => {
      try {
        listen(server, settings);
      } finally {
        passage.whole();
      }
    },
    hostKey: server.hostKey,
    fingerprint: server.fingerprint,
    get counts() {
      const { sessions, pending } = server.counts;
      return { sessions: sessions + passage.carriedClients, pending };
    },
    link: (deviceId) => hub.link(deviceId),
    agentUp: (deviceId) => hub.agentUp(deviceId),
    cut: (deviceId) => hub.cut(deviceId),
    cutKey: (deviceId, fingerprint) => hub.cutKey(deviceId, fingerprint),
    get devices() {
      return hub.devices;
    },
    setShared: (isShared) => server.setShared(isShared),
    give: () => passage.give(),
    letGo: () => passage.letGo(),
    get isEmpty() {
      const { sessions, pending } = server.counts;
      return sessions + pending + passage.carriers === 0;
    },
    passing: passage.passing,
    stopListening: () => server.stopListening(),
    close: () => {
      server.close();
      passage.close();
    },
  };
}

function serverOf(options: SshServerOptions<SshPrincipal>): SshServer<SshPrincipal> {
  try {
    return new SshServer(options);
  } catch (error) {
    throw new ControlError("failed", messageOf(error), { cause: error });
  }
}

function listen(server: SshServer<SshPrincipal>, { listen: { host, port } }: SshSettings): void {
  try {
    server.listen();
  } catch (error) {
    const message = errorCode(error) === undefined ? messageOf(error) : entryError(error, "tcp", host, port).message;
    throw new ControlError("failed", message, { cause: error });
  }
}

/** The CAs' public keys, one a line. */
async function readCas(path: string | null): Promise<readonly SshKey[]> {
  if (path === null) return [];
  const text = await readText(path);
  if (!text.ok) throw new ControlError("usage", text.error.message, { cause: text.error.cause });
  if (text.value === null)
    throw new ControlError("usage", `There is no file ${path}: [ssh] trusted-user-ca names one.`);
  const lines = text.value.split(/\r?\n/).filter((line) => line.trim() !== "" && !line.trim().startsWith("#"));
  return lines.map((line) => {
    const parsed = parseKeyText(line);
    if (parsed.ok) return parsed.value.key;
    throw new ControlError("usage", `${path} is no list of CAs' public keys: ${keyProblem(parsed.error)}`);
  });
}
