import type { WindowBudget } from "../../core/tunnel/window.ts";
import { errorCode } from "../../os/errors.ts";
import { formatHostPort, type HostPort } from "../../wire/endpoint.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import {
  type CarrierRole,
  type ControlOf,
  decodeControl,
  encodeControl,
  TUNNEL_VERSION,
} from "../../wire/tunnel/control.ts";
import { FrameType, type FrameTypeCode } from "../../wire/tunnel/frame.ts";
import type { TlsByteSocket } from "../io/byte-socket.ts";
import { sockets } from "../io/sockets.ts";
import type { Turnstile } from "../io/turnstile.ts";
import { Carrier, CarrierGroup, type CarrierSink } from "./carrier.ts";
import { Session, type SessionEvents } from "./session.ts";
import {
  ALPN_WIRE,
  type CertificatePair,
  checkRelayCertificate,
  HANDSHAKE_MS,
  handshakeDone,
  type RelayTrust,
  relayTlsOptions,
  sessionBinding,
} from "./tls.ts";

export interface AgentTunnelOptions {
  readonly relay: HostPort;
  readonly trust: RelayTrust;
  /** Where the relay asks for client certificates; null otherwise. */
  readonly clientCertificate: CertificatePair | null;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
  /** The join code's secret: first contact only. */
  readonly join: string | null;
  readonly version: string;
  /** What the hello says that this agent understands. */
  readonly features?: readonly string[];
  readonly budget: WindowBudget;
  /** Shared with the sockets of this process, so that bulk takes its turns everywhere. */
  readonly turnstile?: Turnstile;
  /** Monotonic. */
  nowMs(): number;
  /** Unix time: a certificate's validity is checked by it. */
  wallMs(): number;
  readonly events: SessionEvents;
}

export type ConnectError =
  /** No answer, or the connection broke on the way: try again. */
  | { readonly kind: "unreachable"; readonly message: string }
  /** The relay is not who it should be: never send it a credential. */
  | { readonly kind: "untrusted"; readonly message: string }
  /** The relay does not take this credential. */
  | { readonly kind: "denied"; readonly retrySec: number };

export interface Connected {
  readonly session: Session;
  readonly welcome: ControlOf<"welcome">;
}

/** The relay may hold an answer back this long as a penalty (penalty.ts); the hello's own time comes on top. */
const LONGEST_PENALTY_MS = 60_000;
const MAX_STREAMS = 20_000;
const MAX_FLOWS = 20_000;

/**
 * Connects all carriers to the relay once: the control carrier first, then the others at once. The session is ready
 * when this resolves. What becomes of it later, its events tell.
 */
export async function connectToRelay(
  options: AgentTunnelOptions,
  signal: AbortSignal,
): Promise<Result<Connected, ConnectError>> {
  const group = new CarrierGroup(options.turnstile ?? null);
  const control = await dial(options, group, signal);
  if (!control.ok) return control;
  const welcome = await greet(control.value, options, signal);
  if (!welcome.ok) return welcome;
  const ready = Promise.withResolvers<Result<null, ConnectError>>();
  const session = new Session(
    welcome.value.session,
    {
      deviceId: "",
      name: formatHostPort(options.relay.host, options.relay.port),
      account: welcome.value.account,
      version: "",
    },
    control.value.carrier,
    {
      side: "agent",
      carriers: welcome.value.carriers,
      budget: options.budget,
      maxStreams: MAX_STREAMS,
      maxFlows: MAX_FLOWS,
      nowMs: options.nowMs,
    },
    {
      ...bind(options.events),
      onReady: () => ready.resolve(ok(null)),
      onClose: (closed, why) => {
        ready.resolve(err({ kind: "unreachable", message: why }));
        options.events.onClose(closed, why);
      },
    },
  );
  const onAbort = () => session.close("the agent is shutting down", true);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  await attachOthers(session, welcome.value, options, group, signal);
  const timer = setTimeout(() => session.close("the relay did not take all carriers in time"), HANDSHAKE_MS);
  const outcome = await ready.promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", onAbort);
  if (!outcome.ok) return outcome;
  options.events.onReady(session);
  return ok({ session, welcome: welcome.value });
}

function bind(events: SessionEvents): Pick<SessionEvents, "onControl" | "onStream" | "onFlow"> {
  return {
    onControl: (session, message) => events.onControl(session, message),
    onStream: (session, request, stream) => events.onStream(session, request, stream),
    onFlow: (session, request, flow) => events.onFlow(session, request, flow),
  };
}

async function attachOthers(
  session: Session,
  welcome: ControlOf<"welcome">,
  options: AgentTunnelOptions,
  group: CarrierGroup,
  signal: AbortSignal,
): Promise<void> {
  const roles: CarrierRole[] = [];
  for (const role of ["light", "bulk", "datagram"] as const) {
    for (let count = 0; count < welcome.carriers[role]; count++) roles.push(role);
  }
  await Promise.all(
    roles.map(async (role, at) => {
      const dialled = await dial(options, group, signal);
      if (!dialled.ok) {
        session.close(dialled.error.kind === "denied" ? "the relay refused a carrier" : dialled.error.message);
        return;
      }
      const { carrier, binding } = dialled.value;
      carrier.role = role;
      carrier.index = at + 1;
      carrier.trust();
      sendHello(carrier, options, binding, { role, session: welcome.session, index: at + 1 });
      // The relay attaches it on the hello, and its first frame may come at any time after.
      if (!session.attach(carrier)) carrier.fail("the session ended");
    }),
  );
}

interface Dialled {
  readonly carrier: Carrier;
  readonly binding: Uint8Array;
}

function sendHello(
  carrier: Carrier,
  options: AgentTunnelOptions,
  binding: Uint8Array,
  extra: Partial<ControlOf<"hello">> & { role: CarrierRole },
): void {
  const hello: ControlOf<"hello"> = {
    t: "hello",
    v: TUNNEL_VERSION,
    key: Buffer.from(options.publicKey).toString("base64url"),
    sig: Buffer.from(options.sign(binding)).toString("base64url"),
    version: options.version,
    ...extra,
  };
  carrier.send(FrameType.control, 0, encodeControl(hello));
  carrier.flush();
}

/** TCP, TLS and the certificate check. */
async function dial(
  options: AgentTunnelOptions,
  group: CarrierGroup,
  signal: AbortSignal,
): Promise<Result<Dialled, ConnectError>> {
  const { relay, trust, clientCertificate } = options;
  const where = formatHostPort(relay.host, relay.port);
  const outcome = Promise.withResolvers<Result<Dialled, ConnectError>>();
  let settled = false;
  const fail = (kind: "unreachable" | "untrusted", message: string) => {
    settled = true;
    outcome.resolve(err({ kind, message }));
  };
  let raw: TlsByteSocket<Carrier> | null = null;
  const onAbort = () => {
    fail("unreachable", "stopped");
    raw?.terminate();
  };
  const timer = setTimeout(() => {
    fail("unreachable", `${where} did not finish the TLS handshake in ${HANDSHAKE_MS / 1000} s`);
    raw?.terminate();
  }, HANDSHAKE_MS);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  const waiting: CarrierSink = {
    onFrame: (carrier) => carrier.fail("the relay spoke before its turn"),
    onDataPart: (carrier) => carrier.fail("the relay spoke before its turn"),
    onDrain: () => undefined,
    onClose: (_carrier, why) => fail("unreachable", `${where} closed the connection: ${why}`),
  };
  sockets.dialTls<Carrier>({
    hostname: relay.host,
    port: relay.port,
    tls: relayTlsOptions(relay, trust, clientCertificate),
    socket: {
      open(socket) {
        raw = socket;
        socket.data = new Carrier(socket, group, waiting, options.nowMs());
        // It opened after its time, or after the abort.
        if (settled) socket.terminate();
      },
      handshake(socket, success, error) {
        const broken = `TLS with ${where} failed: ${error?.message ?? "no reason given"}`;
        // A connection that broke before the certificate came says nothing about who is there.
        if (!success && socket.getPeerX509Certificate() === undefined) {
          fail("unreachable", broken);
          socket.terminate();
          return;
        }
        const trusted = checkRelayCertificate(socket, error, trust, relay, options.wallMs());
        if (!trusted.ok || !handshakeDone(success, error, trust)) {
          fail(trusted.ok ? "unreachable" : "untrusted", trusted.ok ? broken : trusted.error);
          socket.terminate();
          return;
        }
        if (socket.alpnProtocol !== ALPN_WIRE.subarray(1).toString()) {
          fail("untrusted", `${where} is not a Hatchway relay of this version`);
          socket.terminate();
          return;
        }
        outcome.resolve(ok({ carrier: socket.data, binding: sessionBinding(socket) }));
      },
      data: (socket, bytes) => socket.data.receive(bytes, options.nowMs()),
      drain: (socket) => socket.data.drain(),
      close: (socket, error) => socket.data.socketClosed(error),
      error: (socket, error) => socket.data.fail(error.message),
      connectError: (_socket, error) =>
        fail("unreachable", `${where} does not answer (${errorCode(error) ?? error.message})`),
    },
  });
  const result = await outcome.promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", onAbort);
  return result;
}

/** The hello of the control carrier and the relay's answer. */
async function greet(
  { carrier, binding }: Dialled,
  options: AgentTunnelOptions,
  signal: AbortSignal,
): Promise<Result<ControlOf<"welcome">, ConnectError>> {
  const answer = Promise.withResolvers<Result<ControlOf<"welcome">, ConnectError>>();
  const unreachable = (message: string) => answer.resolve(err({ kind: "unreachable", message }));
  const onAbort = () => carrier.fail("stopped");
  const timer = setTimeout(() => carrier.fail("the relay did not answer the hello"), HANDSHAKE_MS + LONGEST_PENALTY_MS);
  signal.addEventListener("abort", onAbort, { once: true });
  carrier.sink = {
    onFrame(_carrier, type: FrameTypeCode, _id, payload) {
      const message = type === FrameType.control ? decodeControl(payload) : null;
      if (message?.ok && message.value.t === "welcome") {
        if (message.value.v !== TUNNEL_VERSION) return carrier.fail("the relay speaks another version of the tunnel");
        carrier.trust();
        answer.resolve(ok(message.value));
      } else if (message?.ok && message.value.t === "denied") {
        answer.resolve(err({ kind: "denied", retrySec: message.value.retrySec }));
        carrier.fail("denied");
      } else carrier.fail("the relay did not answer the hello in order");
    },
    onDataPart: () => carrier.fail("the relay did not answer the hello in order"),
    onDrain: () => undefined,
    onClose: (_carrier, why) => unreachable(why),
  };
  sendHello(carrier, options, binding, {
    role: "control",
    ...(options.join === null ? {} : { join: options.join }),
    ...(options.features === undefined ? {} : { features: options.features }),
  });
  const result = await answer.promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", onAbort);
  return result;
}
