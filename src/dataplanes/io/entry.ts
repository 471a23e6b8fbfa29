import type { ForwardOptions } from "../../core/forward.ts";
import type { Endpoint } from "../../wire/endpoint.ts";
import type { PortMapping, Protocol } from "../../wire/port-set.ts";
import type { ReasonName } from "../../wire/reason.ts";
import { ok, type Result } from "../../wire/result.ts";
import type { ByteEnd, Exit, FlowEnd, Visit } from "./ends.ts";
import type { EntryError } from "./entry-error.ts";
import { join } from "./join.ts";
import type { EntryPort, Listener, Listeners } from "./listeners.ts";
import type { PortSharing } from "./port-sharing.ts";
import type { GateHost, ProxyGate } from "./proxy-gate.ts";
import { Shaper } from "./shaper.ts";
import type { Sweeper } from "./sweeper.ts";
import { type OnTcpVisitor, tcpListeners } from "./tcp-entry.ts";
import { udpListeners } from "./udp-entry.ts";
import { type Admission, Visits } from "./visits.ts";

export interface EntrySpec {
  /** An IP literal, or `*` for every address of both families. */
  readonly bind: string;
  readonly ports: readonly PortMapping[];
  readonly options: ForwardOptions;
  readonly admission: Admission;
  readonly sweeper: Sweeper;
  /** The bandwidth that it shares with other entries (its account's), asked for each visitor; absent = it shares none. */
  readonly shared?: () => Shaper | null;
  /** How its ports pass from one process to the next; absent = they do not. */
  readonly sharing?: PortSharing;
  /** Where load balancers say who the visitors are; absent = visitors are whom sockets show. */
  readonly gate?: ProxyGate;
}

export interface OpenPort extends EntryPort {
  readonly protocol: Protocol;
}

/** An open entry: the listeners of one forward and the visits that came by them. */
export interface Entry {
  readonly ports: readonly OpenPort[];
  readonly visits: Visits;
  /** Resolves when all of them listen, to null or the first error: on Bun that is so when the entry is there. */
  bound(): Promise<EntryError | null>;
  /** New options and, when given, a new admission; open visits stay, and go by the new timeouts and rate. */
  change(options: ForwardOptions, admission?: Admission): void;
  /**
   * Another port set. What it has in common with the present one stays open, with its visits; the visits of ports that
   * are gone are cut. On failure nothing has changed.
   */
  rebind(ports: readonly PortMapping[]): Result<null, EntryError>;
  /** Stops accepting; open visits go on. */
  drain(): void;
  /** Lets another process of this program listen at its ports too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean;
  /** Another process has its ports: stops accepting, and leaves them. Visits go on. */
  retire(): void;
  /** Ends the flows, too: whoever has the ports next has them alone. */
  endFlows(): void;
  /** Stops accepting and cuts every visit. Frees the ports before it returns. */
  close(): void;
}

/** What becomes of a TCP visitor that was admitted. */
export type TcpReception = (visitor: ByteEnd, visit: Visit, visits: Visits, admission: Admission) => void;

/** Opens an entry whose visitors leave by `exit`: all ports, or none and the first error. */
export function openEntry(spec: EntrySpec, exit: Exit): Result<Entry, EntryError> {
  const host = new EntryHost(spec, exit);
  return host.open(spec, (visitor, visit, visits, admission) => {
    join(visitor, host.shape(exit.connect(visit)), visit, visits, admission);
  });
}

/** The same with another reception for TCP visitors: a proxy asks them first where they want to go. */
export function openReception(
  spec: EntrySpec,
  exit: Exit,
  receive: (visitor: ByteEnd, visit: Visit, host: EntryHost, admission: Admission) => void,
): Result<Entry, EntryError> {
  const host = new EntryHost(spec, exit);
  return host.open(spec, (visitor, visit, _visits, admission) => receive(visitor, visit, host, admission));
}

/** What the listeners of one entry share. */
export class EntryHost {
  readonly visits: Visits;
  #shaper: Shaper | null;
  #admission: Admission;

  constructor(
    readonly spec: EntrySpec,
    readonly exit: Exit,
  ) {
    this.visits = new Visits(spec.options);
    this.#admission = spec.admission;
    const rate = spec.options.limits.bandwidthBytesPerSec;
    this.#shaper = rate === undefined ? null : new Shaper(rate);
  }

  open(spec: EntrySpec, receive: TcpReception): Result<Entry, EntryError> {
    const { visits } = this;
    const come: OnTcpVisitor = (end, visit) => {
      const admitted = this.admit(visit.visitor);
      if (typeof admitted !== "string") receive(this.shape(end), visit, visits, admitted);
      else refuse(end, admitted);
    };
    const refuse = (end: ByteEnd, reason: ReasonName) => {
      visits.counters.countRefused(reason);
      end.reset(reason);
    };
    const { gate } = this;
    const atGate: GateHost = { counters: visits.counters, receive: come };
    const onVisitor: OnTcpVisitor = (end, visit) => {
      if (gate?.active !== true) come(end, visit);
      // One that waits for its header holds a descriptor already.
      else if (spec.sweeper.descriptors.scarce) refuse(end, "resources");
      else gate.receive(end, visit, atGate);
    };
    const sharing = spec.sharing ?? null;
    const tcp = tcpListeners(spec.bind, onVisitor, spec.sweeper, sharing);
    const udp = udpListeners(spec.bind, this, spec.sweeper, sharing);
    const rebind = (ports: readonly PortMapping[]) => {
      const rebound = rebindAll(tcp, udp, ports, visits);
      if (rebound.ok) gate?.keep(atGate, portsOf(ports, "tcp"));
      return rebound;
    };
    const opened = rebind(spec.ports);
    if (!opened.ok) return opened;
    spec.sweeper.add(visits);
    const open = (protocol: Protocol) => (port: EntryPort) => ({
      protocol,
      endpoint: port.endpoint,
      externalPort: port.externalPort,
    });
    return ok({
      get ports() {
        return [...tcp.ports.map(open("tcp")), ...udp.ports.map(open("udp"))];
      },
      visits,
      bound: async () => {
        const outcomes = await Promise.all([...tcp.ports, ...udp.ports].map(({ binding }) => binding));
        return outcomes.find((error) => error != null) ?? null;
      },
      change: (options, admission) => this.#change(options, admission),
      rebind,
      drain: () => {
        tcp.close();
        for (const port of udp.ports) port.drain();
      },
      setShared: (shared) => [...tcp.ports, ...udp.ports].every((port) => port.setShared(shared)),
      retire: () => {
        tcp.close();
        for (const port of udp.ports) port.retire();
      },
      endFlows: () => udp.close(),
      close: () => {
        tcp.close();
        gate?.close(atGate);
        visits.cutAll("shutdown");
        udp.close();
        spec.sweeper.remove(visits);
      },
    });
  }

  get gate(): ProxyGate | null {
    return this.spec.gate ?? null;
  }

  admit(visitor: Endpoint): Admission | ReasonName {
    if (this.spec.sweeper.descriptors.scarce) return "resources";
    const refused = this.#admission.admit(visitor.address, this.spec.sweeper.nowMs());
    return refused ?? this.#admission;
  }

  openFlow(visit: Visit): FlowEnd {
    return this.exit.openFlow(visit);
  }

  /** Held back by the entry's own limit, and by the one that it shares. */
  shape(end: ByteEnd): ByteEnd {
    const inner = this.spec.shared?.()?.shape(end) ?? end;
    return this.#shaper?.shape(inner) ?? inner;
  }

  /** False: the datagram is above a limit and must be dropped. */
  allows(datagramBytes: number): boolean {
    return (this.#shaper?.allows(datagramBytes) ?? true) && (this.spec.shared?.()?.allows(datagramBytes) ?? true);
  }

  #change(options: ForwardOptions, admission: Admission | undefined): void {
    this.visits.limits = options;
    if (admission !== undefined) this.#admission = admission;
    const rate = options.limits.bandwidthBytesPerSec;
    if (this.#shaper !== null) this.#shaper.setRate(rate ?? null);
    else if (rate !== undefined) this.#shaper = new Shaper(rate);
  }
}

/** All or nothing: what is new is opened before anything is closed. */
function rebindAll(
  tcp: Listeners<Listener>,
  udp: Listeners<Listener>,
  ports: readonly PortMapping[],
  visits: Visits,
): Result<null, EntryError> {
  const tcpBefore = numbersOf(tcp.ports);
  const next = { tcp: portsOf(ports, "tcp"), udp: portsOf(ports, "udp") };
  const opened = tcp.open(next.tcp);
  if (!opened.ok) return opened;
  const openedUdp = udp.open(next.udp);
  if (!openedUdp.ok) {
    tcp.keep(tcpBefore);
    return openedUdp;
  }
  tcp.keep(next.tcp);
  udp.keep(next.udp);
  for (const [, visit] of visits.list()) {
    if (!next[visit.protocol].has(visit.visit.externalPort)) visit.cut("shutdown");
  }
  return ok(null);
}

function numbersOf(ports: readonly EntryPort[]): ReadonlySet<number> {
  return new Set(ports.map(({ externalPort }) => externalPort));
}

function portsOf(mappings: readonly PortMapping[], protocol: Protocol): ReadonlySet<number> {
  const numbers = new Set<number>();
  for (const mapping of mappings) {
    if (mapping.protocol !== protocol) continue;
    for (let port = mapping.first; port <= mapping.last; port++) numbers.add(port);
  }
  return numbers;
}
