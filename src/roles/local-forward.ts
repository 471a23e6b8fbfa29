import { Admission } from "../core/admission.ts";
import type { ForwardOptions, LocalSpec } from "../core/forward.ts";
import type { Dials } from "../dataplanes/direct/dial.ts";
import { ALLOWS_ALL, type Allows, directExit, mappedTarget, type Target } from "../dataplanes/direct/exit.ts";
import { proxyStreamHeader } from "../dataplanes/direct/proxy-header.ts";
import type { Resolver } from "../dataplanes/direct/resolver.ts";
import type { Exit } from "../dataplanes/io/ends.ts";
import { type Entry, openEntry } from "../dataplanes/io/entry.ts";
import type { EntryError } from "../dataplanes/io/entry-error.ts";
import type { Sweeper } from "../dataplanes/io/sweeper.ts";
import { tunnelExit } from "../dataplanes/tunnel/exit.ts";
import type { Session } from "../dataplanes/tunnel/session.ts";
import { openProxy } from "../servers/proxy/server.ts";
import { ok, type Result } from "../wire/result.ts";

/** What the local forwards of one process share. */
export interface LocalPlane {
  readonly sweeper: Sweeper;
  readonly dials: Dials;
  readonly resolver: Resolver;
  /** What a SOCKS or HTTP CONNECT client may reach from this machine itself. */
  readonly allows: Allows;
  /** The tunnel to the relay; null while it is down or when there is none. */
  session(): Session | null;
}

export interface LocalForward {
  readonly spec: LocalSpec;
  readonly entry: Entry;
  /** Other options, other ports: visits live on where the port does. On failure nothing has changed. */
  change(spec: LocalSpec): Result<null, EntryError>;
  close(): void;
}

/** Opens a forward whose entry is on this machine: direct, local (through the tunnel) or dynamic. */
export function openLocal(plane: LocalPlane, initial: LocalSpec): Result<LocalForward, EntryError> {
  let spec = initial;
  const admission = new Admission(spec.options);
  const exit = exitOf(plane, () => spec);
  const entrySpec = { bind: spec.bind, ports: spec.ports, options: spec.options, admission, sweeper: plane.sweeper };
  const opened =
    spec.type === "dynamic"
      ? openProxy({ ...entrySpec, credentials: () => spec.credentials }, exit)
      : openEntry(entrySpec, exit);
  if (!opened.ok) return opened;
  const entry = opened.value;
  return ok({
    get spec() {
      return spec;
    },
    entry,
    change: (next) => {
      const rebound = entry.rebind(next.ports);
      if (!rebound.ok) return rebound;
      spec = next;
      admission.replace(next.options);
      entry.change(next.options);
      return rebound;
    },
    close: () => entry.close(),
  });
}

/** Asks for the spec at each visit, for its ports and options may change; the kind of exit does not. */
function exitOf(plane: LocalPlane, specNow: () => LocalSpec): Exit {
  const { type, via } = specNow();
  const options = () => specNow().options;
  const target: Target = (visit, protocol) => {
    const { to, ports } = specNow();
    return to === null ? (visit.destination ?? null) : mappedTarget(to, ports)(visit, protocol);
  };
  switch (via.kind) {
    case "here":
      return directExit({
        target,
        // A destination its own person wrote down is allowed; one that a SOCKS client asks for must be in the policy.
        allows: type === "dynamic" ? plane.allows : ALLOWS_ALL,
        resolver: plane.resolver,
        dials: plane.dials,
        proxyProtocol: () => options().proxyProtocol,
      });
    case "relay":
      return dialExit(plane, "", target, options);
    case "agent":
      return dialExit(plane, via.device, target, options);
    default:
      return via satisfies never;
  }
}

/** Asks the relay to dial, or to have another device dial. */
function dialExit(plane: LocalPlane, device: string, target: Target, options: () => ForwardOptions): Exit {
  const exit = (protocol: "tcp" | "udp") =>
    tunnelExit((visit) => {
      const session = plane.session();
      if (session === null) return "carrierLost";
      const to = target(visit, protocol);
      if (to === null) return "noForward";
      const { visitor, entry } = visit;
      return {
        link: session,
        request: { kind: "dial", device, host: to.host, port: to.port, visitor, entry },
        onGone: null,
      };
    });
  const [tcp, udp] = [exit("tcp"), exit("udp")];
  return {
    connect: (visit) => {
      const end = tcp.connect(visit);
      const version = options().proxyProtocol;
      // Whoever dials passes bytes on as they come: the header may be written here.
      if (version !== null) end.write(proxyStreamHeader(version, visit));
      return end;
    },
    openFlow: (visit) => udp.openFlow(visit),
  };
}
