import type { ByteEnd, FlowEnd } from "../../../dataplanes/io/ends.ts";
import type { Peer } from "../../../dataplanes/tunnel/session.ts";
import type { SshHandler } from "../../../servers/ssh/service.ts";
import type { ReasonName } from "../../../wire/reason.ts";
import type { OpenRequest } from "../../../wire/tunnel/open.ts";
import type { DeviceLink } from "../device-link.ts";
import type { Gate } from "../gate.ts";
import type { SshPrincipal } from "./authority.ts";
import { type ClientHost, SshClient, type SshHubOptions } from "./client.ts";
import type { Following } from "./following.ts";
import type { ClientConnection, ConnectedClient, ConnectedDevice } from "./model.ts";
import { MovableClient } from "./movable.ts";

/** Every device that is connected by SSH. */
export class SshHub implements ClientHost {
  readonly options: SshHubOptions;
  readonly #gate: Pick<Gate, "passed">;
  readonly #devices = new Map<string, SshDevice>();
  /** Clients whose connections are this process's. */
  readonly #own = new Set<MovableClient>();
  #following: Following | null = null;
  #lastHandle = 0;
  #lastNumber = 0;

  /** What clients ask for waits for the gate. */
  constructor(options: SshHubOptions, gate: Pick<Gate, "passed">) {
    this.options = options;
    this.#gate = gate;
  }

  get own(): Iterable<MovableClient> {
    return this.#own;
  }

  /** The ids of those that are connected. */
  get devices(): readonly string[] {
    return [...this.#devices.keys()];
  }

  /** The device as forwards and lists see it; undefined = it is not connected by SSH. */
  link(deviceId: string): DeviceLink | undefined {
    return this.#devices.get(deviceId);
  }

  /** A client of this process proved who it is. */
  open(principal: SshPrincipal, connection: ClientConnection): SshHandler {
    this.#lastNumber += 1;
    const client = this.join(principal, connection);
    const movable: MovableClient = new MovableClient(this.#lastNumber, client, this.#gate, (why) => {
      this.#own.delete(movable);
      this.#following?.left(movable, why);
    });
    this.#own.add(movable);
    this.#following?.came(movable);
    return movable;
  }

  /** The same for one that another process may carry. */
  join({ peer, keyFingerprint }: SshPrincipal, connection: ClientConnection): SshClient {
    const device = this.#devices.get(peer.deviceId) ?? this.#up(peer);
    const client = new SshClient(this, device, connection, keyFingerprint);
    device.clients.add(client);
    this.options.connected(device, connection);
    return client;
  }

  #up(peer: Peer): SshDevice {
    const { forwards, hasAgent } = this.options;
    // A device is up once, whichever way it came first, and at the process that is the relay.
    const isUp = hasAgent(peer.deviceId) || this.#following !== null;
    const device = new SshDevice(peer, isUp ? Promise.resolve() : forwards.sessionUp(peer));
    device.begun.catch((error: unknown) => this.options.failed(error));
    this.#devices.set(peer.deviceId, device);
    return device;
  }

  /** Another process is the relay: this one's clients are taken in there. */
  follow(following: Following): void {
    this.#following = following;
    // Their names, and files, are that process's from now on.
    for (const { clients } of this.#devices.values()) {
      for (const client of clients) this.options.sockets.closeAll(client);
    }
    following.start();
  }

  left(client: ConnectedClient, why: string): void {
    const { forwards, hasAgent, draining, disconnected } = this.options;
    const { device } = client;
    device.clients.delete(client);
    disconnected(device, why);
    if (device.clients.size > 0) return;
    const { peer } = device;
    this.#devices.delete(peer.deviceId);
    // At the next start every lease runs anew.
    if (!hasAgent(peer.deviceId) && !draining()) forwards.sessionDown(peer);
  }

  /** An agent's numbers are its own, and never negative: these never meet them. */
  nextHandle(): number {
    this.#lastHandle -= 1;
    return this.#lastHandle;
  }

  /** The device's agent connected: it opens the device's forwards from now on. */
  agentUp(deviceId: string): void {
    for (const client of [...(this.#devices.get(deviceId)?.clients ?? [])]) {
      if (client.forwards.size > 0) client.connection.close("its device's agent connected, and has its forwards now");
    }
  }

  /** The device was revoked. */
  cut(deviceId: string): void {
    for (const client of [...(this.#devices.get(deviceId)?.clients ?? [])])
      client.connection.close("its device was revoked");
  }

  /** The key was removed. */
  cutKey(deviceId: string, fingerprint: string): void {
    for (const client of [...(this.#devices.get(deviceId)?.clients ?? [])]) {
      if (client.keyFingerprint === fingerprint) client.connection.close("its key was removed");
    }
  }
}

/** One device that is connected by SSH, once or more often. */
export class SshDevice implements DeviceLink, ConnectedDevice {
  readonly clients = new Set<ConnectedClient>();
  readonly serving = new Map<number, ConnectedClient>();

  constructor(
    readonly peer: Peer,
    readonly begun: Promise<void>,
  ) {}

  /** The newest connection: an older one may be dead and not known to be. */
  get #newest(): ConnectedClient | undefined {
    return [...this.clients].at(-1);
  }

  get remoteAddress(): string {
    return this.#newest?.connection.remoteAddress ?? "";
  }

  get localAddress(): string {
    return this.#newest?.connection.localAddress ?? "";
  }

  get measuredRttMs(): number | null {
    return this.#newest?.connection.measuredRttMs ?? null;
  }

  async measureRtt(): Promise<number | null> {
    return this.measuredRttMs;
  }

  openStream(request: OpenRequest, onGone: (() => void) | null): ByteEnd | ReasonName {
    // An SSH client opens what it was told to, and dials for nobody else.
    if (request.kind !== "forward") return "policy";
    const client = this.serving.get(request.handle);
    return client === undefined ? "deviceAway" : client.openForwarded(request, onGone);
  }

  /** SSH carries no datagrams. */
  openFlow(): FlowEnd | ReasonName {
    return "policy";
  }
}
