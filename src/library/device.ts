import { deviceKeyOfSeed, newDeviceSeed } from "../os/device-key.ts";
import type { Identity } from "../roles/agent/identity.ts";
import { ControlError } from "../roles/control.ts";
import { EmbeddedAgent } from "../roles/embedded/agent.ts";
import { readIdentity } from "../roles/embedded/data-directory.ts";
import { type DeviceIdentity, decodeDeviceIdentity, encodeDeviceIdentity } from "../wire/device-identity.ts";
import { formatHostPort, type HostPort, parseHostPort } from "../wire/endpoint.ts";
import { decodeJoinCode } from "../wire/join-code.ts";
import { unknownOption } from "./checked.ts";
import { abortedBy, HatchwayError } from "./error.ts";
import type { Exposed } from "./exposed.ts";
import { linkFailure } from "./failures.ts";
import type * as declared from "./hatchway.d.ts";
import type { Listening } from "./listening.ts";
import { Relay } from "./relay.ts";
import {
  checkOptions,
  checkSignal,
  destinationOf,
  exposeSpecOf,
  handlersOf,
  listenSpecOf,
  socksSpecOf,
} from "./relay-options.ts";

/** Where agents connect when nobody says. */
const DEFAULT_AGENT_PORT = 7744;

const usage = (message: string) => new HatchwayError("usage", message);

export async function enrol(options: declared.EnrolOptions): Promise<declared.Device> {
  checkOptions(options);
  const { joinCode, ca, signal, ...rest } = options;
  knowsAll(rest, ["joinCode", "ca", "signal"]);
  checkSignal(signal);
  if (typeof joinCode !== "string") throw usage("joinCode must be a text: what hatchway join-code create gave.");
  const code = decodeJoinCode(joinCode);
  if (!code.ok) throw usage(code.error.message);
  const { relay, trust, fingerprint, secret } = code.value;
  const enrolment = { relay, trust, fingerprint };
  const seed = newDeviceSeed();
  const identity: Identity = { enrolment, deviceName: null, secret: Buffer.from(secret).toString("base64url") };
  const agent = newAgent({ identity, seed, relay: null, ca });
  try {
    const deviceName = await connected(agent, signal);
    return described({ ...enrolment, deviceName, seed });
  } finally {
    await agent.close();
  }
}

export async function deviceOf(dataDirectory: string): Promise<declared.Device> {
  if (typeof dataDirectory !== "string") throw usage("dataDirectory must be a text: what --data of the agent was.");
  const identity = await readIdentity(dataDirectory);
  if (!identity.ok) throw usage(identity.error);
  return described(identity.value);
}

export async function openRelay(options: declared.RelayOptions): Promise<Relay> {
  checkOptions(options);
  const { key, relay, ca, signal, ...rest } = options;
  knowsAll(rest, ["key", "relay", "ca", "signal"]);
  checkSignal(signal);
  const identity = decodeDeviceIdentity(typeof key === "string" ? key : "");
  if (!identity.ok) throw usage(identity.error.message);
  const { seed, deviceName, ...enrolment } = identity.value;
  const agent = newAgent({
    identity: { enrolment, deviceName, secret: null },
    seed,
    relay: relay === undefined ? null : placeOf(relay),
    ca,
  });
  try {
    const name = await connected(agent, signal);
    return new Relay({ agent, device: { name, id: deviceKeyOfSeed(seed).deviceId } }, signal);
  } catch (error) {
    await agent.close();
    throw error;
  }
}

export function expose(
  options: declared.RelayOptions & declared.ExposeOptions,
  onVisitor?: declared.OnSocket | declared.VisitorHandlers,
): Promise<declared.Exposed> {
  return alone(
    options,
    (relay, own) => relay.expose(own, onVisitor),
    (own) => exposeSpecOf(own, handlersOf(onVisitor)),
  );
}

export function listen(options: declared.RelayOptions & declared.ListenOptions): Promise<declared.Listening> {
  return alone(options, (relay, own) => relay.listen(own), listenSpecOf);
}

export function socks(options: declared.RelayOptions & declared.SocksOptions): Promise<declared.Listening> {
  return alone(options, (relay, own) => relay.socks(own), socksSpecOf);
}

export async function connect(
  options: declared.RelayOptions & declared.ConnectOptions,
): Promise<declared.TunnelSocket> {
  checkOptions(options);
  const { key, relay, ca, ...own } = options;
  destinationOf(own);
  const opened = await openRelay({ key, relay, ca, signal: own.signal });
  try {
    const socket = await opened.connect(own);
    socket.once("close", () => void opened.close());
    return socket;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** A relay for one thing: it is closed with it. `check` throws what is wrong before anybody is asked. */
async function alone<Options extends declared.RelayOptions, One extends Exposed | Listening>(
  options: Options,
  open: (relay: Relay, own: Omit<Options, "key" | "relay" | "ca">) => Promise<One>,
  check: (own: Omit<Options, "key" | "relay" | "ca">) => unknown,
): Promise<One> {
  checkOptions(options);
  const { key, relay, ca, ...own } = options;
  check(own);
  const opened = await openRelay({ key, relay, ca, signal: own.signal });
  try {
    const one = await open(opened, own);
    one.alsoOnClose(() => opened.close());
    return one;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

interface NewAgent {
  readonly identity: Identity;
  readonly seed: Uint8Array;
  readonly relay: HostPort | null;
  readonly ca: string | undefined;
}

/** Throws HatchwayError `usage`. */
function newAgent({ identity, seed, relay, ca }: NewAgent): EmbeddedAgent {
  if (ca !== undefined && (typeof ca !== "string" || !ca.includes("-----BEGIN CERTIFICATE-----"))) {
    throw usage("ca must be the text of a certificate in PEM, not the name of its file.");
  }
  try {
    return new EmbeddedAgent({ identity, key: deviceKeyOfSeed(seed), relay, ca: ca ?? null, onFault: reportFault });
  } catch (error) {
    if (error instanceof ControlError) throw usage(error.message);
    throw error;
  }
}

/** A fault of ours is uncaught: nothing in the app could mend it. */
function reportFault(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** Resolves to the device's name when the relay has taken it. One attempt: whoever calls knows better whether to try again. */
async function connected(agent: EmbeddedAgent, signal: AbortSignal | undefined): Promise<string> {
  if (signal?.aborted === true) throw abortedBy(signal);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const abort = () => reject(abortedBy(signal));
  signal?.addEventListener("abort", abort, { once: true });
  const { host, port } = agent.relay;
  const unwatch = agent.watchLink((state) => {
    if (state.kind === "up") resolve(state.welcome.device);
    const failure = linkFailure(state, formatHostPort(host, port));
    if (failure !== null) reject(failure);
  });
  agent.start();
  try {
    return await promise;
  } finally {
    unwatch();
    signal?.removeEventListener("abort", abort);
  }
}

function described(identity: DeviceIdentity): declared.Device {
  const { relay, deviceName, seed } = identity;
  return {
    key: encodeDeviceIdentity(identity),
    relay: formatHostPort(relay.host, relay.port),
    name: deviceName,
    id: deviceKeyOfSeed(seed).deviceId,
  };
}

function placeOf(relay: unknown): HostPort {
  const parsed = typeof relay === "string" ? parseHostPort(relay, { defaultPort: DEFAULT_AGENT_PORT }) : null;
  if (parsed?.ok !== true) throw usage(`relay: ${parsed?.error.message ?? "must be a text, HOST:PORT."}`);
  return parsed.value;
}

function knowsAll(rest: object, known: readonly string[]): void {
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw usage(unknownOption(unknown, known));
}
