import { WindowBudget } from "../../core/tunnel/window.ts";
import { entryError } from "../../dataplanes/io/entry-error.ts";
import type { PortSharing } from "../../dataplanes/io/port-sharing.ts";
import type { ProxyGate } from "../../dataplanes/io/proxy-gate.ts";
import type { Sweeper } from "../../dataplanes/io/sweeper.ts";
import { RelayTunnel } from "../../dataplanes/tunnel/relay.ts";
import type { Session } from "../../dataplanes/tunnel/session.ts";
import type { RelayCertificate } from "../../os/certificate.ts";
import { monotonicMs, nowMs as wallMs } from "../../os/clock.ts";
import { verifyDeviceSignature } from "../../os/device-key.ts";
import type { Logger } from "../../os/log.ts";
import { VERSION } from "../../os/version.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import { ASSIGN_FEATURE, CHECK_FEATURE, NAMES_FEATURE } from "../../wire/tunnel/control.ts";
import { type CertificateSource, tlsPair } from "../certificate/source.ts";
import { ControlError, type RelaySettings } from "../control.ts";
import type { RelayAuth } from "./auth.ts";
import type { RelayDials } from "./dials.ts";
import type { Gate } from "./gate.ts";
import type { RelaySessions } from "./sessions.ts";

export interface AgentPortOptions {
  settings(): Pick<RelaySettings, "listen" | "publicHost">;
  /** What agents are shown. */
  readonly certificate: CertificateSource;
  /** See RelayIdentity. */
  readonly clientCa: string | null;
  readonly auth: RelayAuth;
  readonly sessions: RelaySessions;
  readonly dials: RelayDials;
  phase(): RelayPhase;
  readonly sweeper: Sweeper;
  readonly sharing: PortSharing;
  /** Where load balancers say who the agents are. */
  readonly proxyGate: ProxyGate;
  /** What would change the store waits for it. */
  readonly gate: Gate;
  readonly log: Logger;
}

/**
 * Devices are let in while the relay serves: not before it knows what it holds, nor while it drains. `waiting`: one process of
 * it hands over to another, and who comes to either waits until it is clear which of them is the relay.
 */
export type RelayPhase = "starting" | "waiting" | "serving" | "draining";

/** Windows beyond the first 256 KiB of every stream, all streams of the process together (tunnel.md "Windows"). */
const WINDOW_BUDGET_BYTES = 64 * 1024 * 1024;

/** Where agents connect: by TLS, with a certificate that may be renewed meanwhile. */
export class AgentPort {
  readonly #options: AgentPortOptions;
  #tunnel: RelayTunnel | null = null;

  constructor(options: AgentPortOptions) {
    this.#options = options;
  }

  /** Throws ControlError `failed` when the port cannot be had. */
  listen(): void {
    this.#tunnel = this.#open();
    this.#options.certificate.follow((certificate) => this.#renew(certificate));
  }

  /** The one it has got; null = it does not listen yet. */
  get port(): number | null {
    return this.#tunnel?.port ?? null;
  }

  /** Now: sessions of devices, and connections that have not proved yet who they are. */
  get counts(): { readonly sessions: number; readonly pending: number } {
    return { sessions: this.#tunnel?.sessionCount ?? 0, pending: this.#tunnel?.pendingCount ?? 0 };
  }

  /** The device's present one. */
  session(deviceId: string): Session | undefined {
    return this.#tunnel?.session(deviceId);
  }

  /** Cuts the session of a device that was revoked. */
  cut(deviceId: string): void {
    this.#tunnel?.revoke(deviceId);
  }

  /** Those that are ready. */
  sessions(): Iterable<Session> {
    return this.#tunnel?.allSessions() ?? [];
  }

  /** See RelayTunnel. */
  setShared(shared: boolean): boolean {
    return this.#tunnel?.setShared(shared) ?? false;
  }

  /** See RelayTunnel. */
  dropPending(): void {
    this.#tunnel?.dropPending();
  }

  /** Sessions go on. */
  stopListening(): void {
    this.#tunnel?.stopListening();
  }

  close(): void {
    this.#tunnel?.close();
  }

  #open(): RelayTunnel {
    const { settings, certificate, clientCa, auth, sessions, dials, phase, sweeper, sharing, proxyGate, gate, log } =
      this.#options;
    const { host, port } = settings().listen;
    try {
      return new RelayTunnel({
        hostname: host === "*" ? "::" : host,
        port,
        certificate: tlsPair(certificate.current),
        clientCa,
        features: [ASSIGN_FEATURE, CHECK_FEATURE, NAMES_FEATURE],
        version: VERSION,
        wallMs,
        publicHost: (localAddress) => settings().publicHost ?? localAddress,
        budget: new WindowBudget(WINDOW_BUDGET_BYTES),
        sweeper,
        sharing,
        gate: proxyGate,
        nowMs: monotonicMs,
        verify: verifyDeviceSignature,
        admit: (address) => (phase() === "serving" || phase() === "waiting") && auth.admit(address),
        settled: (address, outcome) => auth.settled(address, outcome),
        authenticate: async (credentials, address) => {
          await gate.passed();
          return auth.authenticate(credentials, address);
        },
        events: {
          onReady: (session) => {
            log.info("a device connected", { device: session.peer.name, address: session.remoteAddress });
            sessions.up(session);
          },
          onControl: (session, message) => sessions.onControl(session, message),
          onStream: (session, request, stream) => dials.onStream(session, request, stream),
          onFlow: (session, request, flow) => dials.onFlow(session, request, flow),
          onClose: (session, why) => {
            log.info("a device's session ended", { device: session.peer.name, why });
            sessions.down(session);
          },
        },
      });
    } catch (error) {
      throw new ControlError("failed", entryError(error, "tcp", host, port).message, { cause: error });
    }
  }

  /** Load balancers may be believed that were not, or the other way round. An error: nobody listens, until it is called again. */
  gateChanged(): Result<null, string> {
    return this.#again((tunnel) => tunnel.gateChanged());
  }

  #renew(certificate: RelayCertificate): Result<null, string> {
    return this.#again((tunnel) => tunnel.renew(tlsPair(certificate)));
  }

  #again(listen: (tunnel: RelayTunnel) => void): Result<null, string> {
    const { phase, settings } = this.#options;
    // While it drains it is not to listen again.
    if (this.#tunnel === null || phase() === "draining") return ok(null);
    try {
      listen(this.#tunnel);
      return ok(null);
    } catch (error) {
      return err(entryError(error, "tcp", settings().listen.host, this.#tunnel.port).message);
    }
  }
}
