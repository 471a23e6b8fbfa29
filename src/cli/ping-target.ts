import { type PingTarget, type PingVia, parsePingTarget } from "../core/ping/target.ts";
import type { Endpoint, ForwardInfo, PingRequest } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import type { Protocol } from "../wire/port-set.ts";
import { parsedOption } from "./parse.ts";

type Target = PingRequest["target"];

/**
 * What `text` means: a forward of the agent that runs, by its name, its id or its public port, else HOST:PORT. `forwards`
 * is null when no agent runs. Throws ControlError `usage`, or `unreachable` when only an agent could know it.
 */
export function pingTargetOf(text: string, forwards: readonly ForwardInfo[] | null): Target {
  const named = forwards === null ? null : byName(text, null, forwards);
  if (named !== null) return named;
  const target = parsedOption("TARGET", text, parsePingTarget);
  if (target.kind === "host") {
    return { kind: "host", host: target.host, port: target.port, protocol: target.protocol ?? "tcp" };
  }
  if (forwards === null) {
    const start = "start `hatchway agent`, name its directory with --data, or write HOST:PORT";
    throw new ControlError("unreachable", `${subject(target)} is a forward's, and no agent runs here: ${start}.`);
  }
  const found =
    target.kind === "port"
      ? byPort(target.port, target.protocol, forwards)
      : byName(target.name, target.protocol, forwards);
  if (found !== null) return found;
  throw new ControlError(
    "usage",
    `${subject(target)} is no forward's: see \`hatchway forward ls\`, or write HOST:PORT.`,
  );
}

function subject(target: Exclude<PingTarget, { kind: "host" }>): string {
  return target.kind === "port" ? `Port ${target.port}` : JSON.stringify(target.name);
}

function byName(name: string, protocol: Protocol | null, forwards: readonly ForwardInfo[]): Target | null {
  const matches = forwards.filter((forward) => forward.id === name || forward.name === name);
  const [forward] = matches;
  if (forward === undefined) return null;
  if (matches.length > 1) {
    const ids = matches.map(({ id }) => id).join(", ");
    throw new ControlError("usage", `Several forwards are called "${name}": name one by its id (${ids}).`);
  }
  if (forward.endpoints.length === 0) {
    const why = forward.message ?? "The relay has not opened it.";
    const kind = forward.state === "waiting" ? "unreachable" : "failed";
    throw new ControlError(kind, `The forward "${name}" is not open: ${why}`);
  }
  const endpoint = preferred(forward.endpoints, protocol);
  if (endpoint === null) throw new ControlError("usage", `The forward "${name}" has no ${protocol} port.`);
  return { kind: "forward", id: forward.id, port: endpoint.port, protocol: endpoint.protocol };
}

/** Public ports first: an entry on this machine may have the same number. */
function byPort(port: number, protocol: Protocol | null, forwards: readonly ForwardInfo[]): Target | null {
  const inOrder = forwards.toSorted((a, b) => Number(a.type !== "remote") - Number(b.type !== "remote"));
  for (const { id, endpoints } of inOrder) {
    const holding = endpoints.filter((one) => one.port <= port && port <= one.lastPort);
    const endpoint = preferred(holding, protocol);
    if (endpoint !== null) return { kind: "forward", id, port, protocol: endpoint.protocol };
  }
  return null;
}

/** TCP, unless the other is asked for or is all there is. */
function preferred(endpoints: readonly Endpoint[], protocol: Protocol | null): Endpoint | null {
  const wanted = endpoints.filter((one) => protocol === null || one.protocol === protocol);
  return wanted.find((one) => one.protocol === "tcp") ?? wanted[0] ?? null;
}

/** A forward leaves by its own way; a host by the one that is named, or else by the relay. */
export function pingViaOf(target: Target, given: PingVia | null, only: PingRequest["only"]): PingVia | null {
  if (target.kind === "host") return only === "direct" ? null : (given ?? { kind: "relay" });
  if (given === null) return null;
  throw new ControlError("usage", "A forward leaves by its own way: leave --via out, or write HOST:PORT.");
}
