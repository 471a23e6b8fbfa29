import { classifyAddress, parseAddress } from "../../wire/address.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import { newGather } from "../../wire/gather.ts";
import type { ReasonName } from "../../wire/reason.ts";
import {
  decodeSocks5Method,
  decodeSocks5Reply,
  decodeSocksDatagram,
  encodeSocks5Greeting,
  encodeSocks5Request,
  encodeSocksUdpHeader,
  reasonOfSocks5Reply,
  type Socks5Command,
  SocksMethod,
} from "../../wire/socks.ts";
import type { ByteEnd, ByteSink, FlowEnd, FlowSink } from "../io/ends.ts";
import { SILENT_SINK } from "../io/silent-sink.ts";
import type { Sweeper } from "../io/sweeper.ts";
import { udpBuffers } from "../io/udp-buffers.ts";
import { DirectFlow } from "./udp-flow.ts";

/** Where the datagrams of an association may come from: any port of this client (RFC 1928 §7). */
const ANY_CLIENT: HostPort = { host: "0.0.0.0", port: 0 };

/**
 * A client of a SOCKS5 proxy that asks for no credentials: asks for one thing on a connection to the proxy, and is told
 * the outcome once. What follows the proxy's reply is the caller's.
 */
class SocksRequest implements ByteSink {
  readonly #gathered = newGather();
  #stage: "greeting" | "reply" | "settled" = "greeting";

  constructor(
    readonly proxy: ByteEnd,
    readonly command: Socks5Command,
    readonly destination: HostPort,
    /** The request itself is leaving: what was before it is not part of what the destination takes. */
    readonly asked: () => void,
    /** `rest`: what came behind the reply. */
    readonly granted: (bound: HostPort, rest: Uint8Array) => void,
    readonly failed: (reason: ReasonName) => void,
  ) {
    proxy.sink = this;
  }

  onOpen(): void {
    this.proxy.write(encodeSocks5Greeting([SocksMethod.none]));
  }

  onData(bytes: Uint8Array): void {
    this.#gathered.append(bytes);
    if (this.#stage === "greeting") this.#readMethod();
    if (this.#stage === "reply") this.#readReply();
  }

  #readMethod(): void {
    const method = decodeSocks5Method(this.#gathered.bytes());
    if (method.ok && method.value === null) return;
    const request = encodeSocks5Request({ version: 5, command: this.command, destination: this.destination });
    if (!method.ok) this.#fail("protocolError");
    else if (!request.ok) this.#fail("hostNotFound");
    else if (method.value?.value !== SocksMethod.none) this.#fail("policy");
    else {
      this.#gathered.consume(method.value.length);
      this.#stage = "reply";
      this.asked();
      this.proxy.write(request.value);
    }
  }

  #readReply(): void {
    const reply = decodeSocks5Reply(this.#gathered.bytes());
    if (reply.ok && reply.value === null) return;
    const reason = reply.ok && reply.value !== null ? reasonOfSocks5Reply(reply.value.value.code) : "protocolError";
    if (!reply.ok || reply.value === null || reason !== null) {
      this.#fail(reason ?? "protocolError");
      return;
    }
    this.#gathered.consume(reply.value.length);
    this.#stage = "settled";
    this.granted(reply.value.value.bound, this.#gathered.bytes());
  }

  #fail(reason: ReasonName): void {
    if (this.#stage === "settled") return;
    this.#stage = "settled";
    this.proxy.sink = SILENT_SINK;
    this.proxy.reset(reason);
    this.failed(reason);
  }

  onDrain(): void {}

  onEnd(): void {
    this.#fail("reset");
  }

  onClose(reason: ReasonName | null): void {
    this.#fail(reason ?? "reset");
  }
}

/** A TCP connection through a SOCKS5 proxy (CONNECT). It opens when the proxy says that the destination is connected. */
export class SocksEnd implements ByteEnd, ByteSink {
  sink: ByteSink = SILENT_SINK;
  /** When the request left, by `nowMs`; null = not yet. */
  askedMs: number | null = null;
  #early: Uint8Array[] | null = [];
  #closed = false;

  /** `proxy`: an end that is being dialled to the proxy, and has no sink yet. */
  constructor(
    readonly proxy: ByteEnd,
    destination: HostPort,
    nowMs: () => number,
  ) {
    const asked = () => {
      this.askedMs = nowMs();
    };
    const granted = (_bound: HostPort, rest: Uint8Array) => this.#opened(rest);
    new SocksRequest(proxy, "connect", destination, asked, granted, (reason) => this.onClose(reason));
  }

  #opened(rest: Uint8Array): void {
    this.proxy.sink = this;
    this.sink.onOpen();
    for (const bytes of this.#early ?? []) this.proxy.write(bytes);
    this.#early = null;
    if (rest.length > 0) this.sink.onData(rest);
  }

  write(bytes: Uint8Array): number {
    if (this.#early === null) return this.proxy.write(bytes);
    // A copy: of a Buffer, slice() would be none.
    this.#early.push(new Uint8Array(bytes));
    return this.#early.reduce((sum, one) => sum + one.length, 0);
  }

  backlog(queuedBytes: number): void {
    this.proxy.backlog(queuedBytes);
  }

  end(): void {
    this.proxy.end();
  }

  reset(reason: ReasonName): void {
    this.proxy.reset(reason);
    this.onClose(reason);
  }

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    this.sink.onData(bytes);
  }

  onDrain(queuedBytes: number): void {
    this.sink.onDrain(queuedBytes);
  }

  onEnd(): void {
    this.sink.onEnd();
  }

  onClose(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#early = null;
    this.sink.onClose(reason);
  }
}

export interface SocksFlowOptions {
  /** Its descriptors and its outbox are this flow's. */
  readonly sweeper: Sweeper;
  nowMs(): number;
  /** The proxy's own address, an IP literal: where datagrams go when it names none (0.0.0.0). */
  readonly proxyAddress: string;
}

/** A UDP flow through a SOCKS5 proxy (UDP ASSOCIATE). It takes one association, and so one connection to the proxy, each. */
export class SocksFlow implements FlowEnd, FlowSink {
  sink: FlowSink = SILENT_SINK;
  /** When the first datagram left, by `nowMs`; null = not yet. */
  askedMs: number | null = null;
  readonly #options: SocksFlowOptions;
  readonly #inner: DirectFlow | null = null;
  #waiting: Uint8Array[] | null = [];
  #closed = false;

  constructor(
    readonly proxy: ByteEnd,
    destination: HostPort,
    options: SocksFlowOptions,
  ) {
    this.#options = options;
    const header = encodeSocksUdpHeader(destination);
    if (!header.ok) {
      queueMicrotask(() => this.onClose("hostNotFound"));
      return;
    }
    this.#inner = new DirectFlow(header.value, udpBuffers(), options.sweeper);
    this.#inner.sink = this;
    const granted = (bound: HostPort) => this.#associated(bound);
    new SocksRequest(
      proxy,
      "udp-associate",
      ANY_CLIENT,
      () => {},
      granted,
      (reason) => this.onClose(reason),
    );
  }

  #associated({ host, port }: HostPort): void {
    // The association ends with its connection; what else comes on it is nothing.
    this.proxy.sink = { ...SILENT_SINK, onClose: (reason) => this.onClose(reason ?? "reset") };
    const named = parseAddress(host);
    const isUsable = named.ok && classifyAddress(named.value) !== "unspecified";
    this.#inner?.connect(isUsable ? named.value : this.#options.proxyAddress, port);
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const datagram of waiting) this.send(datagram);
  }

  send(datagram: Uint8Array): boolean {
    if (this.#closed || this.#inner === null) return false;
    if (this.#waiting !== null) {
      if (this.#waiting.length >= MAX_WAITING_DATAGRAMS) return false;
      this.#waiting.push(new Uint8Array(datagram));
      return true;
    }
    this.askedMs ??= this.#options.nowMs();
    return this.#inner.send(datagram);
  }

  onDatagram(datagram: Uint8Array): void {
    const decoded = decodeSocksDatagram(datagram);
    if (decoded.ok) this.sink.onDatagram(decoded.value.payload);
  }

  close(reason: ReasonName | null): void {
    this.onClose(reason);
  }

  onClose(reason: ReasonName | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = null;
    this.#inner?.close(reason);
    this.proxy.reset(reason ?? "shutdown");
    this.sink.onClose(reason);
  }
}

/** While the association is being made. */
const MAX_WAITING_DATAGRAMS = 64;
