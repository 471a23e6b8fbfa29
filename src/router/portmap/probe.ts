import { PROTOCOL_NAMES } from "../../core/router/ladder.ts";
import type { Gateway, Mapper, RouterFailure } from "../../core/router/model.ts";
import { whyNoNatPmp } from "../../core/router/natpmp-client.ts";
import { pcpAnnounceRequest, whyNoPcp } from "../../core/router/pcp-client.ts";
import { notSpoken, routerFailure } from "../../core/router/portmap-faults.ts";
import type { PortMapProtocol } from "../../core/router/portmap-talk.ts";
import { type After, after as systemAfter } from "../../os/timers.ts";
import { MAPPING_CLIENT_PORT, MAPPING_SERVER_PORT } from "../../wire/natpmp.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { OnIgnored } from "./ignored.ts";
import { PortMapLink, PROBE_LIMIT_MS } from "./link.ts";
import { NatPmpMapper } from "./natpmp-mapper.ts";
import { PcpMapper } from "./pcp-mapper.ts";

export interface PortMapProbe {
  readonly gateway: Gateway;
  /** Ends the probing; the mappers that come of it end with their `close`. */
  readonly signal: AbortSignal;
  /** For each datagram that does not count: who logs each reason once logs at count 1. */
  readonly onIgnored: OnIgnored;
  /** Announcements cannot be heard: one sentence. Absent = nobody needs to know. */
  readonly onDeaf?: (message: string) => void;
  /** Unpredictable: a mapping's nonce is what keeps others from changing it. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Milliseconds that never go backwards. */
  readonly nowMs: () => number;
  readonly after?: After;
  /** Where questions go; default 5351. */
  readonly port?: number;
  /** Where announcements come; default 5350. */
  readonly clientPort?: number;
  /** Absent = both are asked. */
  readonly only?: PortMapProtocol;
}

export interface PortMapProbed {
  readonly pcp: Result<Mapper, RouterFailure>;
  readonly natPmp: Result<Mapper, RouterFailure>;
}

/**
 * Asks the router for PCP and NAT-PMP at once, from one socket: a few milliseconds when it answers, a tenth of a second when
 * it says that nothing listens there, 2 s when it is silent. A mapper that has nothing to ask keeps no process running.
 */
export async function probePortMap(probe: PortMapProbe): Promise<PortMapProbed> {
  const { gateway, only } = probe;
  const opened = await PortMapLink.open({
    gateway,
    port: probe.port ?? MAPPING_SERVER_PORT,
    clientPort: probe.clientPort ?? MAPPING_CLIENT_PORT,
    onIgnored: probe.onIgnored,
    onDeaf: probe.onDeaf ?? (() => {}),
    randomBytes: probe.randomBytes,
    nowMs: probe.nowMs,
    after: probe.after ?? systemAfter,
  });
  if (!opened.ok) return { pcp: opened, natPmp: opened };
  const { value: link } = opened;
  const [pcp, natPmp] = await Promise.all([
    only === "nat-pmp" ? err(notAsked("pcp")) : probePcp(link, probe),
    only === "pcp" ? err(notAsked("nat-pmp")) : probeNatPmp(link, probe),
  ]);
  // Each mapper holds it by now.
  link.release();
  return { pcp, natPmp };
}

async function probePcp(link: PortMapLink, probe: PortMapProbe): Promise<Result<Mapper, RouterFailure>> {
  const { gateway, signal, randomBytes } = probe;
  const question = { protocol: "pcp", request: pcpAnnounceRequest(gateway) } as const;
  const answer = await link.ask(question, PROBE_LIMIT_MS, signal);
  if (!answer.ok) return answer;
  if (answer.value.protocol !== "pcp") return err(notSpoken(gateway, PROTOCOL_NAMES.pcp, null));
  const no = whyNoPcp(answer.value.response, gateway);
  return no === null ? ok(new PcpMapper(link, randomBytes)) : err(no);
}

async function probeNatPmp(
  link: PortMapLink,
  { gateway, signal }: PortMapProbe,
): Promise<Result<Mapper, RouterFailure>> {
  if (gateway.family === 6) return err(routerFailure("unsupported", null, "NAT-PMP is of IPv4 only."));
  const question = { protocol: "nat-pmp", request: { kind: "external-address" } } as const;
  const answer = await link.ask(question, PROBE_LIMIT_MS, signal);
  if (!answer.ok) return answer;
  if (answer.value.protocol !== "nat-pmp") return err(notSpoken(gateway, PROTOCOL_NAMES["nat-pmp"], null));
  const no = whyNoNatPmp(answer.value.response, gateway);
  return no === null ? ok(new NatPmpMapper(link)) : err(no);
}

function notAsked(protocol: PortMapProtocol): RouterFailure {
  return routerFailure("unsupported", null, `${PROTOCOL_NAMES[protocol]} was not asked for.`);
}
