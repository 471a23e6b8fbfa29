import type { Socket } from "bun";
import type { WindowBudget } from "../../core/tunnel/window.ts";
import { messageOf } from "../../os/errors.ts";
import { type ControlOf, decodeControl, encodeControl, TUNNEL_VERSION } from "../../wire/tunnel/control.ts";
import { FrameType, type FrameTypeCode } from "../../wire/tunnel/frame.ts";
import { GatedPort } from "../io/gated-port.ts";
import type { PortSharing } from "../io/port-sharing.ts";
import type { ProxyGate } from "../io/proxy-gate.ts";
import type { Sweepable, Sweeper } from "../io/sweeper.ts";
import { AgentListener, type CarrierEnds } from "./agent-listener.ts";
import { Carrier, CarrierGroup, type CarrierSink } from "./carrier.ts";
import { type Peer, Session, type SessionEvents } from "./session.ts";
import { ALPN_WIRE, type CertificatePair, HANDSHAKE_MS, sessionBinding } from "./tls.ts";

/** What a connecting device showed; the signature over the TLS session has been checked already. */
export interface Credentials {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly join: string | null;
  readonly version: string;
  /** Names of its client certificate; null when the relay asks for none. */
  readonly certificateNames: readonly string[] | null;
}

export type AuthVerdict =
  | { readonly kind: "accepted"; readonly peer: Peer }
  /** Every wrong credential gets the same words, after this long. */
  | { readonly kind: "denied"; readonly afterMs: number };

export type HandshakeOutcome = "accepted" | "failed" | "timeout" | "gone";

export interface RelayTunnelOptions {
  readonly hostname: string;
  readonly port: number;
  readonly certificate: CertificatePair;
  /** PEM of the CA that agents' certificates must chain to; null = agents need none. */
  readonly clientCa: string | null;
  /** What visitors type, for a device that reached the relay at `localAddress`. */
  publicHost(localAddress: string): string;
  /** What the welcome says that this relay understands. */
  readonly features: readonly string[];
  readonly version: string;
  wallMs(): number;
  readonly budget: WindowBudget;
  /** Of this process: its sockets take turns with the carriers, and its one timer also is the heartbeats'. */
  readonly sweeper: Sweeper;
  /** How its port passes from one process to the next; absent = it does not. */
  readonly sharing?: PortSharing;
  /** Where load balancers say who the agents are; absent = agents are whom sockets show. */
  readonly gate?: ProxyGate;
  nowMs(): number;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** A new connection: false = too many are pending, or the source is under a penalty. */
  admit(address: string): boolean;
  /** The pending connection is settled; called once for each admitted one. */
  settled(address: string, outcome: HandshakeOutcome): void;
  authenticate(credentials: Credentials, address: string): Promise<AuthVerdict>;
  readonly events: SessionEvents;
}

export const CARRIERS = { light: 1, bulk: 2, datagram: 1 } as const;
const MAX_STREAMS = 20_000;
const MAX_FLOWS = 20_000;

/** The relay's side: listens for agents, checks who they are, keeps their sessions. */
export class RelayTunnel implements Sweepable {
  private readonly sessions = new Map<string, Session>();
  /** By device: the session whose carriers have not all come yet, and the one that is ready. */
  private readonly beginning = new Map<string, Session>();
  private readonly byDevice = new Map<string, Session>();
  private readonly pending = new Set<PendingCarrier>();
  private readonly group: CarrierGroup;
  private readonly gated: GatedPort | null;
  private certificate: CertificatePair;
  private listener: AgentListener;

  /** Throws what Bun.listen throws (EADDRINUSE …): the caller classifies it. */
  constructor(private readonly options: RelayTunnelOptions) {
    this.group = new CarrierGroup(options.sweeper.turnstile);
    this.gated = options.gate === undefined ? null : new GatedPort(options.gate);
    this.certificate = options.certificate;
    this.listener = this.listen(options.port);
    options.sweeper.add(this);
  }

  private listen(port: number): AgentListener {
    const { options } = this;
    return new AgentListener({
      hostname: options.hostname,
      port,
      certificate: this.certificate,
      clientCa: options.clientCa,
      sharing: options.sharing ?? null,
      gated: this.gated,
      descriptors: options.sweeper.descriptors,
      admit: ({ remoteAddress }) => options.admit(remoteAddress),
      begin: (socket, ends) => this.begin(socket, ends),
      handlers: {
        handshake: (socket, success, error) => this.onHandshake(socket, success, error),
        data: (socket, bytes) => socket.data?.receive(bytes, options.nowMs()),
        drain: (socket) => socket.data?.drain(),
        close: (socket, error) => socket.data?.socketClosed(error),
        error: (socket, error) => socket.data?.fail(error.message),
      },
    });
  }

  /**
   * What agents that connect from now on are shown; carriers live on. Throws what Bun.listen throws: then nobody
   * listens, and it is to be called again.
   */
  renew(certificate: CertificatePair): void {
    // Bun.listen keeps its certificate for life (decision 0026).
    this.certificate = certificate;
    this.relisten();
  }

  /** Load balancers are believed from now on that were not, or the other way round. Throws, as `renew` does. */
  gateChanged(): void {
    if (this.gated !== null && this.gated.active !== this.listener.takesHeaders) this.relisten();
  }

  private relisten(): void {
    const { port } = this;
    this.listener.stop();
    this.listener = this.listen(port);
  }

  get port(): number {
    return this.listener.port;
  }

  session(deviceId: string): Session | undefined {
    return this.byDevice.get(deviceId);
  }

  allSessions(): Iterable<Session> {
    return this.byDevice.values();
  }

  get pendingCount(): number {
    return this.pending.size;
  }

  /** Those too whose carriers have not all come yet. */
  get sessionCount(): number {
    return this.sessions.size;
  }

  private begin(socket: Socket<Carrier>, ends: CarrierEnds): void {
    const waiting = new PendingCarrier(ends.remoteAddress, this.options, (hello, carrier) =>
      this.onHello(hello, carrier, socket),
    );
    this.pending.add(waiting);
    waiting.onSettled = () => this.pending.delete(waiting);
    socket.data = new Carrier(socket, this.group, waiting, this.options.nowMs(), ends);
    waiting.carrier = socket.data;
  }

  private onHandshake(socket: Socket<Carrier>, success: boolean, error: Error | null): void {
    if (socket.data === undefined) return;
    if (!success) {
      socket.data.fail(`TLS failed: ${error?.message ?? "no reason given"}`);
      return;
    }
    if (socket.alpnProtocol !== ALPN_WIRE.subarray(1).toString()) {
      socket.data.fail("the peer speaks another protocol");
      return;
    }
    if (this.options.clientCa !== null && !socket.authorized)
      socket.data.fail("the agent's certificate is not accepted");
  }

  /** Null when the carrier was taken into a session, else how long to wait before saying no. */
  private async onHello(hello: ControlOf<"hello">, carrier: Carrier, socket: Socket<Carrier>): Promise<number | null> {
    const publicKey = Buffer.from(hello.key, "base64url");
    const signature = Buffer.from(hello.sig, "base64url");
    const proven =
      hello.v === TUNNEL_VERSION &&
      publicKey.length === 32 &&
      this.options.verify(publicKey, sessionBinding(socket as Socket<never>), signature);
    const verdict: AuthVerdict = await this.options.authenticate(
      {
        publicKey: proven ? publicKey : new Uint8Array(0),
        // A join code is spent at its first use: never by somebody who has not proved the key it would be bound to.
        join: proven && hello.role === "control" ? (hello.join ?? null) : null,
        version: hello.version,
        certificateNames: this.options.clientCa === null ? null : certificateNames(socket),
      },
      carrier.remoteAddress,
    );
    if (verdict.kind === "denied") return verdict.afterMs;
    if (!proven || carrier.isClosed) return 0;
    return hello.role === "control"
      ? this.beginSession({ ...verdict.peer, features: hello.features ?? [] }, carrier)
      : this.join(hello, verdict.peer, carrier);
  }

  private beginSession(peer: Peer, carrier: Carrier): null {
    carrier.trust();
    carrier.role = "control";
    carrier.index = 0;
    // One attempt at a time: a device cannot pile up sessions that never become ready.
    this.beginning.get(peer.deviceId)?.close("the device began another session");
    const id = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64url");
    const session = new Session(
      id,
      peer,
      carrier,
      {
        side: "relay",
        carriers: CARRIERS,
        budget: this.options.budget,
        maxStreams: MAX_STREAMS,
        maxFlows: MAX_FLOWS,
        nowMs: this.options.nowMs,
      },
      {
        onReady: (ready) => this.onReady(ready),
        onControl: (from, message) => this.options.events.onControl(from, message),
        onStream: (from, request, stream) => this.options.events.onStream(from, request, stream),
        onFlow: (from, request, flow) => this.options.events.onFlow(from, request, flow),
        onClose: (closed, why) => this.onClosed(closed, why),
      },
    );
    this.sessions.set(id, session);
    this.beginning.set(peer.deviceId, session);
    session.send({
      t: "welcome",
      v: TUNNEL_VERSION,
      session: id,
      device: peer.name,
      account: peer.account,
      publicHost: this.options.publicHost(carrier.localAddress),
      carriers: CARRIERS,
      features: this.options.features,
      version: this.options.version,
      timeMs: this.options.wallMs(),
    });
    return null;
  }

  private join(hello: ControlOf<"hello">, peer: Peer, carrier: Carrier): number | null {
    const session = this.sessions.get(hello.session ?? "");
    if (session === undefined || session.peer.deviceId !== peer.deviceId) return 0;
    carrier.trust();
    carrier.role = hello.role;
    carrier.index = hello.index ?? 0;
    return session.attach(carrier) ? null : 0;
  }

  private onReady(session: Session): void {
    this.beginning.delete(session.peer.deviceId);
    const before = this.byDevice.get(session.peer.deviceId);
    this.byDevice.set(session.peer.deviceId, session);
    if (before !== undefined) {
      before.send({ t: "bye", why: "takeover" });
      before.close("the device connected again", true);
    }
    this.options.events.onReady(session);
  }

  private onClosed(session: Session, why: string): void {
    this.sessions.delete(session.id);
    if (this.beginning.get(session.peer.deviceId) === session) this.beginning.delete(session.peer.deviceId);
    if (this.byDevice.get(session.peer.deviceId) === session) this.byDevice.delete(session.peer.deviceId);
    this.options.events.onClose(session, why);
  }

  /** Ends a device's session at once: it was revoked. */
  revoke(deviceId: string): void {
    for (const session of [...this.sessions.values()]) {
      if (session.peer.deviceId !== deviceId) continue;
      session.send({ t: "bye", why: "revoked" });
      session.close("the device was revoked", true);
    }
  }

  /** Heartbeats, and what did not come in time. */
  sweep(): void {
    const nowMs = this.options.nowMs();
    for (const session of [...this.sessions.values()]) {
      if (!session.ready && nowMs - session.sinceMs > HANDSHAKE_MS) session.close("its carriers did not all come");
      else session.tick(nowMs);
    }
    for (const waiting of [...this.pending]) waiting.tick(nowMs);
  }

  /** Lets another process of this relay listen at its port too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean {
    return this.listener.setShared(shared);
  }

  /** Whoever has not been taken into a session is to try again. */
  dropPending(): void {
    for (const waiting of [...this.pending]) waiting.carrier?.fail("another process of this relay takes over");
  }

  /** No new agents; the present sessions go on. */
  stopListening(): void {
    this.listener.stop();
  }

  close(): void {
    this.options.sweeper.remove(this);
    this.listener.stop();
    this.gated?.close();
    for (const waiting of [...this.pending]) waiting.carrier?.fail("the relay is shutting down");
    for (const session of [...this.sessions.values()]) {
      session.send({ t: "bye", why: "shutdown" });
      session.close("the relay is shutting down", true);
    }
  }
}

function certificateNames(socket: Socket<Carrier>): readonly string[] {
  const subjectAltName = socket.getPeerX509Certificate?.()?.subjectAltName ?? "";
  return subjectAltName.split(", ").map((name) => name.slice(name.indexOf(":") + 1));
}

/** A carrier whose peer has not proved itself: takes one HELLO, within its deadline. */
class PendingCarrier implements CarrierSink {
  carrier: Carrier | null = null;
  onSettled: () => void = () => undefined;
  private settledAs: HandshakeOutcome | null = null;
  private greeted = false;
  private denied = false;
  private answerTimer: Timer | null = null;
  private readonly deadlineMs: number;

  constructor(
    private readonly address: string,
    private readonly options: RelayTunnelOptions,
    private readonly hello: (message: ControlOf<"hello">, carrier: Carrier) => Promise<number | null>,
  ) {
    this.deadlineMs = options.nowMs() + HANDSHAKE_MS;
  }

  private settle(outcome: HandshakeOutcome): void {
    if (this.settledAs !== null) return;
    this.settledAs = outcome;
    if (this.answerTimer !== null) clearTimeout(this.answerTimer);
    this.onSettled();
    this.options.settled(this.address, outcome);
  }

  onFrame(carrier: Carrier, type: FrameTypeCode, _id: number, payload: Uint8Array): void {
    const message = type === FrameType.control ? decodeControl(payload) : null;
    if (message === null || !message.ok || message.value.t !== "hello" || this.greeted) {
      this.settle("failed");
      carrier.fail("the peer did not begin with a hello");
      return;
    }
    this.greeted = true;
    this.hello(message.value, carrier).then(
      (denyAfterMs) => {
        if (denyAfterMs === null) return this.settle("accepted");
        this.denied = true;
        if (!carrier.isClosed) this.answerTimer = setTimeout(() => this.deny(carrier, denyAfterMs), denyAfterMs);
      },
      (error: unknown) => {
        this.settle("failed");
        carrier.fail(`the relay could not check the device: ${messageOf(error)}`);
      },
    );
  }

  private deny(carrier: Carrier, afterMs: number): void {
    carrier.send(FrameType.control, 0, encodeControl({ t: "denied", retrySec: Math.ceil(afterMs / 1000) }));
    carrier.end();
    this.settle("failed");
  }

  onDataPart(carrier: Carrier): void {
    this.settle("failed");
    carrier.fail("the peer did not begin with a hello");
  }

  onDrain(): void {}

  onClose(): void {
    // Who does not wait for the answer was refused all the same.
    this.settle(this.denied ? "failed" : "gone");
  }

  tick(nowMs: number): void {
    if (nowMs < this.deadlineMs || this.greeted) return;
    this.settle("timeout");
    this.carrier?.fail("no hello in time");
  }
}
