import type { LocalForwardSpec, RemoteForwardSpec, Via } from "../../core/forward.ts";
import { DEFAULT_OPTIONS } from "../../core/forward.ts";
import { Dials } from "../../dataplanes/direct/dial.ts";
import { ALLOWS_ALL, ALLOWS_NONE } from "../../dataplanes/direct/exit.ts";
import { systemResolver } from "../../dataplanes/direct/resolver.ts";
import type { ByteEnd, Exit, FlowEnd, Visit } from "../../dataplanes/io/ends.ts";
import { join } from "../../dataplanes/io/join.ts";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { Visits } from "../../dataplanes/io/visits.ts";
import { tunnelExit } from "../../dataplanes/tunnel/exit.ts";
import type { DeviceKey } from "../../os/device-key.ts";
import { ControlError } from "../../servers/local/error.ts";
import type { HostPort } from "../../wire/endpoint.ts";
import { ok } from "../../wire/result.ts";
import type { OpenRequest } from "../../wire/tunnel/open.ts";
import { AgentForwards } from "../agent/forwards.ts";
import type { Held } from "../agent/held.ts";
import type { Identity } from "../agent/identity.ts";
import type { LinkState } from "../agent/link.ts";
import { RelayLink } from "../agent/relay-link.ts";
import type { Requests } from "../agent/requests.ts";
import { refuseUnsafeEnvironment } from "../environment.ts";
import { subscribe } from "../subscribe.ts";
import type { UpstreamForward } from "../upstream/forward.ts";

export type { EntryError } from "../../dataplanes/io/entry-error.ts";

export interface EmbeddedAgentOptions {
  readonly identity: Identity;
  readonly key: DeviceKey;
  /** Where the relay is now; null = where the identity says. */
  readonly relay: HostPort | null;
  /** PEM of the CA of a relay with a certificate of its own. */
  readonly ca: string | null;
  /** A fault of ours: nothing works from then on. */
  onFault(error: unknown): void;
}

/** How often forwards that were refused are asked for again. */
const RETRY_MS = 15_000;
/** Who asks, for a connection that no visitor made. */
const THIS_PROGRAM = { address: "127.0.0.1", port: 0 };

/** An agent inside an app's process: no files, no socket of its own, and nothing that another device could reach. */
export class EmbeddedAgent {
  readonly #options: EmbeddedAgentOptions;
  readonly #abort = new AbortController();
  readonly #sweeper = startSweeper(this.#abort.signal);
  readonly #dials = new Dials(this.#sweeper);
  readonly #resolver = systemResolver();
  readonly #watchers = new Set<(id: string) => void>();
  /** Connections that the app dials itself. */
  readonly #dialled = new Visits(DEFAULT_OPTIONS);
  readonly #forwards: AgentForwards;
  readonly #link: RelayLink;
  #linkRun: Promise<void> = Promise.resolve();
  /** From the second connection on the relay is told what this app still wants: at the first one it has asked for nothing yet. */
  #wasUp = false;

  /** Throws ControlError `usage` where certificates are not checked at all. */
  constructor(options: EmbeddedAgentOptions) {
    refuseUnsafeEnvironment();
    this.#options = options;
    this.#sweeper.add(this.#dialled);
    this.#forwards = new AgentForwards({
      plane: {
        sweeper: this.#sweeper,
        dials: this.#dials,
        resolver: this.#resolver,
        // What a SOCKS client asks for from here: the app wrote down that this port is one.
        allows: ALLOWS_ALL,
        session: () => this.#link.dialSession,
      },
      random: Math.random,
      openUpstream: noUpstream,
      allowsAssigned: ALLOWS_NONE,
      onChange: (id) => {
        for (const changed of [...this.#watchers]) changed(id);
      },
    });
    this.#link = new RelayLink({
      identity: options.identity,
      key: options.key,
      ca: options.ca,
      clientCertificate: null,
      state: { enrol: () => Promise.resolve(ok(undefined)) },
      settings: () => ({ relay: options.relay }),
      sweeper: this.#sweeper,
      onUp: (requests) => this.#handled(this.#linkUp(requests)),
      onDown: () => this.#forwards.linkDown(),
      // Nobody asked for them.
      onAssigned: () => Promise.resolve(false),
      onStream: (request, stream) => this.#onStream(request, stream),
      onFlow: (request, flow) => this.#onFlow(request, flow),
    });
  }

  get link(): LinkState {
    return this.#link.state;
  }

  get relay(): HostPort {
    return this.#link.relay;
  }

  /** Called at each change of the link. */
  watchLink(watch: (state: LinkState) => void): () => void {
    return this.#link.watch(watch);
  }

  /** Called with the id of each forward that changed. */
  watchForwards(watch: (id: string) => void): () => void {
    return subscribe(this.#watchers, watch);
  }

  /** Begins; connects again whenever the connection is lost, until the relay rejects the device or `close`. */
  start(): void {
    this.#linkRun = this.#link.run(this.#abort.signal).catch((error: unknown) => {
      // A device that the relay rejects is told by the link's state.
      if (!(error instanceof ControlError)) this.#options.onFault(error);
    });
    let nextRetryMs = this.#sweeper.nowMs() + RETRY_MS;
    this.#sweeper.add({
      sweep: (nowMs) => {
        if (nowMs < nextRetryMs) return;
        nextRetryMs = nowMs + RETRY_MS;
        this.#handled(this.#forwards.retryRefused());
      },
    });
  }

  async #linkUp(requests: Requests): Promise<void> {
    const reserved = this.#wasUp ? [] : null;
    this.#wasUp = true;
    await this.#forwards.linkUp(requests, reserved);
  }

  #handled(work: Promise<void>): void {
    work.catch((error: unknown) => this.#options.onFault(error));
  }

  #onStream(request: OpenRequest, stream: ByteEnd): void {
    if (request.kind === "forward") this.#forwards.onStream(request, stream);
    else stream.reset("exitNotAllowed");
  }

  #onFlow(request: OpenRequest, flow: FlowEnd): void {
    if (request.kind === "forward") this.#forwards.onFlow(request, flow);
    else flow.close("exitNotAllowed");
  }

  forward(id: string): Held | undefined {
    return this.#forwards.get(id);
  }

  /** Opens a forward; null = this program has one of this id. `exit`: where visitors of a remote one go instead of out. */
  put(spec: RemoteForwardSpec | LocalForwardSpec, exit: Exit | null = null): Promise<Held> | null {
    const { id } = spec.kind === "remote" ? spec.remote : spec.local;
    return this.#forwards.get(id) === undefined ? this.#forwards.put(spec, "cli", false, exit) : null;
  }

  /** Resolves when the relay has answered, or cannot. */
  async giveBack(id: string): Promise<void> {
    await this.#forwards.giveBack(id);
  }

  /** Connects `own` with `to`, through the relay or another device. What becomes of it, `own` is told. */
  dial(own: ByteEnd, via: Exclude<Via, { kind: "here" }>, to: HostPort): void {
    const device = via.kind === "agent" ? via.device : "";
    const visit: Visit = { visitor: THIS_PROGRAM, entry: THIS_PROGRAM, externalPort: 0 };
    const exit = tunnelExit(({ visitor, entry }) => {
      const session = this.#link.dialSession;
      if (session === null) return "carrierLost";
      return {
        link: session,
        request: { kind: "dial", device, host: to.host, port: to.port, visitor, entry },
        onGone: null,
      };
    });
    join(own, exit.connect(visit), visit, this.#dialled);
  }

  /** Ends the connection to the relay, and every other. What is exposed then stays reserved for its lifetime. */
  async close(): Promise<void> {
    this.#dialled.cutAll("shutdown");
    await this.#forwards.close();
    this.#dials.close();
    this.#abort.abort();
    await this.#linkRun;
  }
}

/** The library asks routers by `openPort`. */
function noUpstream(): UpstreamForward {
  throw new Error("An embedded agent asks no router.");
}
