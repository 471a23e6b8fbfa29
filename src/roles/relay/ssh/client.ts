import { DEFAULT_OPTIONS, type RemoteSpec } from "../../../core/forward.ts";
import type { ByteEnd, Visit } from "../../../dataplanes/io/ends.ts";
import { join } from "../../../dataplanes/io/join.ts";
import type { TextView } from "../../../servers/ssh/text-session.ts";
import type { HostPort } from "../../../wire/endpoint.ts";
import { parseHost } from "../../../wire/endpoint.ts";
import { printable } from "../../../wire/igd/printable.ts";
import type { ReasonName } from "../../../wire/reason.ts";
import { err, ok, type Result } from "../../../wire/result.ts";
import type { OpenRequest } from "../../../wire/tunnel/open.ts";
import type { RelayDials } from "../dials.ts";
import type { SharedEntry } from "../entries.ts";
import type { RelayForwards } from "../forwards.ts";
import type { Behind, ClientConnection, ConnectedClient, ConnectedDevice, ServedForward } from "./model.ts";
import type { SshSockets } from "./sockets.ts";
import { clientView, NO_TRAFFIC, sumTraffic, type Traffic, type Viewed } from "./view.ts";

export interface SshHubOptions {
  readonly forwards: RelayForwards;
  readonly dials: RelayDials;
  readonly sockets: SshSockets;
  /** The agent of that account by that name is connected, and dials for others. */
  hasAgentCalled(account: string, name: string): boolean;
  /** The device's agent is connected. */
  hasAgent(deviceId: string): boolean;
  draining(): boolean;
  /** What visitors type, to a device that reached the relay at this address. */
  publicHost(localAddress: string): string;
  connected(device: ConnectedDevice, connection: ClientConnection): void;
  disconnected(device: ConnectedDevice, why: string): void;
  failed(error: unknown): void;
}

/** What a client needs of the hub. */
export interface ClientHost {
  readonly options: SshHubOptions;
  nextHandle(): number;
  left(client: ConnectedClient, why: string): void;
}

/** What `ssh -R` may name before the port: every address of the relay. `localhost` is what OpenSSH says without any. */
const EVERY_ADDRESS = ["", "*", "localhost", "0.0.0.0", "::", "127.0.0.1", "::1"];
const LOOPBACK = ["localhost", "127.0.0.1", "::1"];
const DEVICE_SUFFIX = ".device";
/** As an `expose` has it: how long the ports wait for a connection that was lost. */
const LIFETIME_SEC = 600;
const MOST_FORWARDS = 256;

/** What one SSH connection of a device asks of the relay. */
export class SshClient implements Behind, ConnectedClient {
  readonly forwards = new Map<number, ServedForward>();
  readonly claimed = new Set<string>();
  readonly view: TextView;
  /** What another process, which is the relay now, has for it; null = this one is. */
  elsewhere: Pick<Viewed, "sockets" | "traffic"> | null = null;
  #isClosed = false;

  constructor(
    readonly hub: ClientHost,
    readonly device: ConnectedDevice,
    readonly connection: ClientConnection,
    readonly keyFingerprint: string | null,
  ) {
    this.view = clientView({
      client: this,
      publicHost: () => hub.options.publicHost(connection.localAddress),
      sockets: () => this.elsewhere?.sockets() ?? hub.options.sockets.namesOf(this),
      traffic: () => sumTraffic([this.traffic(), this.elsewhere?.traffic() ?? NO_TRAFFIC]),
    });
  }

  /** What its forwards counted in this process. */
  traffic(): Traffic {
    return sumTraffic(
      [...this.forwards.values()].flatMap((served) => this.#entryOf(served)?.entry?.visits.counters ?? []),
    );
  }

  #entryOf({ id }: ServedForward): SharedEntry | undefined {
    const { forwards } = this.hub.options;
    const held = forwards.get(this.device.peer.deviceId, id);
    return held === null ? undefined : forwards.entryOf(held);
  }

  // ——— -R ———

  async forward(bind: HostPort): Promise<Result<number, string>> {
    await this.device.begun;
    const refusal = this.#refusal(bind);
    return refusal === null ? this.#open(this.#spec(bind.port), bind.host) : err(refusal);
  }

  /** Of a client that another process carries: what was open for it there goes on as it was. */
  async resume({ id, port, bindHost }: Omit<ServedForward, "handle">): Promise<Result<number, string>> {
    await this.device.begun;
    const held = this.hub.options.forwards.get(this.device.peer.deviceId, id);
    if (held === null || held.spec.ports[0]?.first !== port) return err(`Its forward of port ${port} was removed.`);
    const refusal = this.#refusal({ host: bindHost, port });
    if (refusal !== null) return err(refusal);
    // A connection that came to this process is the newer one.
    if ([...this.device.clients].some(({ forwards }) => forwards.has(port))) {
      this.connection.lost?.(port);
      return ok(port);
    }
    const handle = this.hub.nextHandle();
    // It has its answer since long: visitors may come within the call.
    this.#serves({ id, handle, port, bindHost });
    const opened = await this.#put(held.spec, handle);
    if (!opened.ok) this.forwards.delete(port);
    return opened;
  }

  async #open(spec: RemoteSpec, bindHost: string): Promise<Result<number, string>> {
    const handle = this.hub.nextHandle();
    this.claimed.add(spec.id);
    const opened = await this.#put(spec, handle);
    this.claimed.delete(spec.id);
    if (!opened.ok) return opened;
    this.#serves({ id: spec.id, handle, port: opened.value, bindHost });
    this.connection.say(this.view.lines());
    return opened;
  }

  /** The port that is open, leading here. */
  async #put(spec: RemoteSpec, handle: number): Promise<Result<number, string>> {
    const { forwards } = this.hub.options;
    const { peer, serving } = this.device;
    serving.set(handle, this);
    const outcome = await forwards.put({ peer, localAddress: this.connection.localAddress }, handle, spec);
    const port = outcome.kind === "open" ? outcome.endpoints[0]?.port : undefined;
    if (port !== undefined && !this.#isClosed) return ok(port);
    serving.delete(handle);
    forwards.withdraw(peer.deviceId, spec.id, handle);
    return err(outcome.kind === "refused" ? outcome.message : "The connection ended meanwhile.");
  }

  /** No connection of the device serves it by another handle any more. */
  #serves(served: ServedForward): void {
    for (const client of this.device.clients) {
      const hadIt = client !== this && client.forwards.has(served.port);
      client.lose(served.port);
      if (hadIt) client.connection.say([`Port ${served.port} leads to a newer connection of this device now.`]);
    }
    this.forwards.set(served.port, served);
  }

  /** The process that is the relay has opened it. */
  adopt(served: ServedForward): void {
    this.forwards.set(served.port, served);
    this.connection.say(this.view.lines());
  }

  lose(port: number): void {
    const served = this.forwards.get(port);
    if (served === undefined) return;
    this.forwards.delete(port);
    this.device.serving.delete(served.handle);
    this.connection.lost?.(port);
  }

  #refusal(bind: HostPort): string | null {
    const { draining, hasAgent } = this.hub.options;
    const { deviceId, name } = this.device.peer;
    if (this.#isClosed || draining()) return "The relay is shutting down; it opens no more forwards.";
    if (hasAgent(deviceId)) {
      return `The agent of "${name}" is connected and opens its forwards: give the key to a device of its own, with hatchway ssh-key add.`;
    }
    if (!EVERY_ADDRESS.includes(bind.host)) {
      return `Public ports are open on every address of the relay: leave "${printable(bind.host)}" out, as in -R 8080:localhost:80.`;
    }
    if (this.forwards.size + this.claimed.size >= MOST_FORWARDS) {
      return `A connection has ${MOST_FORWARDS} forwards at most.`;
    }
    return null;
  }

  /** The same request has the same id each time, so that whoever comes back finds its ports. */
  #spec(port: number): RemoteSpec {
    const id = port === 0 ? this.#freeId() : `ssh-${port}`;
    // Where it leads only the client knows: it is shown as the same number.
    const ports = [{ protocol: "tcp", first: port, last: port, internalFirst: port }] as const;
    const shared = { group: null, options: DEFAULT_OPTIONS, enabled: true, lifetimeSec: LIFETIME_SEC };
    return { id, name: port === 0 ? id : `ssh ${port}`, ports, ...shared };
  }

  /** Of the ports that the relay chose, the first that no connection of the device has. */
  #freeId(): string {
    const taken = new Set(
      [...this.device.clients].flatMap((client) => [
        ...client.claimed,
        ...[...client.forwards.values()].map(({ id }) => id),
      ]),
    );
    for (let number = 1; ; number++) {
      const id = `ssh-any-${number}`;
      if (!taken.has(id)) return id;
    }
  }

  async cancelForward({ port }: HostPort): Promise<boolean> {
    const served = this.forwards.get(port);
    if (served === undefined) return false;
    const { deviceId } = this.device.peer;
    const { forwards } = this.hub.options;
    this.forwards.delete(port);
    this.device.serving.delete(served.handle);
    const held = forwards.get(deviceId, served.id);
    const isOurs = held !== null && forwards.entryOf(held)?.members.get(deviceId)?.handle === served.handle;
    if (isOurs) await forwards.remove(deviceId, served.id);
    return true;
  }

  /** A visitor came to a forward of this connection. */
  openForwarded(
    { handle, externalPort, visitor }: Extract<OpenRequest, { kind: "forward" }>,
    onGone: (() => void) | null,
  ): ByteEnd | ReasonName {
    const served = this.forwards.get(externalPort);
    // Before it has the answer to its request, a client takes no visitors.
    if (served?.handle !== handle) return "deviceAway";
    return this.connection.openForwarded({ host: served.bindHost, port: externalPort }, visitor, onGone);
  }

  // ——— -L, -D, -J ———

  dial({ host, port }: HostPort, channel: ByteEnd): void {
    const { dials, hasAgentCalled } = this.hub.options;
    const { peer } = this.device;
    const { visitor, entry } = this.connection.ends;
    const own = LOOPBACK.includes(host) ? this.#entryAt(port) : undefined;
    if (own !== undefined) {
      const visit: Visit = { visitor, entry, externalPort: port, destination: { host, port } };
      join(channel, own.exit.connect(visit), visit, dials.visits);
      return;
    }
    const suffixed = host.endsWith(DEVICE_SUFFIX) ? host.slice(0, -DEVICE_SUFFIX.length) : null;
    const device = suffixed ?? (hasAgentCalled(peer.account, host) ? host : null);
    // The agent dials its own machine, by its own rules.
    const target = device === null ? parseHost(host) : ok("localhost");
    if (!target.ok || port < 1 || port > 65_535) {
      channel.reset("hostNotFound");
      return;
    }
    dials.onStream({ peer }, { kind: "dial", device: device ?? "", host: target.value, port, visitor, entry }, channel);
  }

  /** A public port of this relay that a device of the same account has: reached without leaving the relay. */
  #entryAt(port: number): SharedEntry | undefined {
    const { forwards } = this.hub.options;
    const held = forwards.atTcpPort(port).find(({ owner }) => owner.account === this.device.peer.account);
    return held === undefined ? undefined : forwards.entryOf(held);
  }

  // ——— sockets ———

  /** Of what the client wrote; null = no socket can have it. */
  socketName(path: string): string | null {
    return this.hub.options.sockets.nameIn(this, path);
  }

  forwardSocket(path: string): Promise<Result<null, string>> {
    return this.hub.options.sockets.open(this, path);
  }

  async cancelSocket(path: string): Promise<boolean> {
    return this.hub.options.sockets.close(this, path);
  }

  dialSocket(path: string, channel: ByteEnd): void {
    this.hub.options.sockets.dial(this, path, channel);
  }

  closed(why: string): void {
    this.#isClosed = true;
    const { forwards, sockets } = this.hub.options;
    for (const { id, handle } of this.forwards.values()) {
      this.device.serving.delete(handle);
      forwards.withdraw(this.device.peer.deviceId, id, handle);
    }
    this.forwards.clear();
    sockets.closeAll(this);
    this.hub.left(this, why);
  }
}
