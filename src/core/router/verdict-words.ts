import { PROTOCOL_NAMES } from "./ladder.ts";
import type { RouterFailure } from "./model.ts";
import { isAbsence } from "./quiet.ts";
import {
  type AddressRange,
  type NetworkFacts,
  opensPorts,
  publicIpv4Here,
  publicIpv6Here,
  rangeOf,
  routerAddress,
  seenOutside,
  type VerdictCause,
} from "./verdict-facts.ts";

const RELAY = "hatchway expose --via relay";

/** The facts that `cause` rests on, in sentences. */
export function evidenceFor(facts: NetworkFacts, cause: VerdictCause): string[] {
  switch (cause) {
    case "own-public":
      return [`This machine itself has the public address ${publicIpv4Here(facts)}.`, ...seenWords(facts)];
    case "tunnel":
      return [...tunnelWords(facts), ...seenWords(facts)];
    case "no-router":
      return ["No route of this machine names a router, for IPv4 or for IPv6."];
    case "no-ipv4":
    case "line-down":
    case "shared-outside":
    case "shared-inside":
    case "translated-ipv4":
    case "outless":
    case "not-internet":
    case "seen-otherwise":
    case "home-range-outside":
    case "private-outside":
    case "no-protocol":
    case "seen-same":
    case "unconfirmed":
    case "untold":
      return [
        ...routeWords(facts),
        ...insideWords(facts, cause),
        ...outsideWords(facts),
        ...seenWords(facts),
        ...protocolWords(facts),
        ...ipv6Words(facts),
        ...tunnelWords(facts),
      ];
    default:
      return cause satisfies never;
  }
}

function tunnelWords({ tunnels }: NetworkFacts): string[] {
  if (tunnels.v4 !== null && tunnels.v4 === tunnels.v6) {
    return [`Everything leaves through ${tunnels.v4}, a tunnel: no router is asked on that way.`];
  }
  return (["v4", "v6"] as const).flatMap((family) => {
    const name = family === "v4" ? "IPv4" : "IPv6";
    const tunnel = tunnels[family];
    return tunnel === null ? [] : [`${name} leaves through ${tunnel}, a tunnel: no router is asked on that way.`];
  });
}

function routeWords({ gateways }: NetworkFacts): string[] {
  if (gateways.v4 === null) return ["No route names a router for IPv4."];
  return [`The router is ${gateways.v4.address}, and knows this machine as ${gateways.v4.ownAddress}.`];
}

function insideWords({ gateways }: NetworkFacts, cause: VerdictCause): string[] {
  if (cause !== "shared-inside" || gateways.v4 === null) return [];
  return [rangeWords(gateways.v4.ownAddress, "shared")];
}

/** The router's addresses as its protocols tell them: they may differ, and then each is named. */
function outsideWords({ protocols }: NetworkFacts): string[] {
  const ipv4 = protocols.filter(({ family }) => family === 4);
  const told = new Map<string, string[]>();
  for (const { externalAddress, protocol } of ipv4) {
    if (externalAddress === null) continue;
    told.set(externalAddress, [...(told.get(externalAddress) ?? []), PROTOCOL_NAMES[protocol]]);
  }
  if (told.size > 0) {
    return [...told].flatMap(([address, names]) => {
      const range = rangeOf(address);
      const what = `The router's address outside is ${address}, by ${list(names, "and")}.`;
      return range === "public" ? [what] : [what, rangeWords(address, range)];
    });
  }
  if (ipv4.some(({ failure }) => failure?.kind === "no-uplink"))
    return ["The router says that it has no IPv4 address outside."];
  return ipv4.some(({ failure }) => failure === null) ? ["The router does not tell its address outside."] : [];
}

function rangeWords(address: string, range: Exclude<AddressRange, "public">): string {
  switch (range) {
    case "shared":
      return `${address} is of 100.64.0.0/10, which is for providers that put many customers behind one address (RFC 6598).`;
    case "home":
      return `${address} is a private address of the kind that routers for homes hand out (RFC 1918).`;
    case "private":
      return `${address} is a private address (RFC 1918): another router of yours hands those out, and so do some providers.`;
    case "ds-lite":
      return `${address} is what a router has when its provider carries IPv4 inside IPv6 (RFC 6333).`;
    case "unusable":
      return `${address} is not an address that a line gets.`;
    case "reserved":
      return `${address} is not an address of the internet.`;
    default:
      return range satisfies never;
  }
}

function seenWords(facts: NetworkFacts): string[] {
  const { seen, ownAddresses, tunnels } = facts;
  if (seen.v4 === null) return ["No STUN server told how this machine looks from outside."];
  if (seenOutside(seen.v4) === null) {
    return [`A STUN server sees ${seen.v4}: it is in the same private network, and says nothing of the internet.`];
  }
  const what = `Servers outside see this machine as ${seen.v4}`;
  const address = routerAddress(facts);
  if (ownAddresses.includes(seen.v4)) return [`${what}.`];
  if (tunnels.v4 !== null) return [`${what}: the far end of the tunnel.`];
  if (address === null) return [`${what}.`];
  return [address === seen.v4 ? `${what} too.` : `${what}, which is not the router's address.`];
}

function protocolWords({ protocols, gateways }: NetworkFacts): string[] {
  const ipv4 = protocols.filter(({ family }) => family === 4);
  const named = (are: (failure: RouterFailure | null) => boolean) =>
    ipv4.filter(({ failure }) => are(failure)).map(({ protocol }) => PROTOCOL_NAMES[protocol]);
  const opening = named((failure) => failure === null);
  const absent = named((failure) => failure !== null && isAbsence(failure.kind));
  const refusing = ipv4.flatMap(({ protocol, failure }) =>
    failure === null || isAbsence(failure.kind) || failure.kind === "no-uplink"
      ? []
      : [`${PROTOCOL_NAMES[protocol]}: ${failure.message}`],
  );
  return [
    ...(opening.length === 0 ? [] : [`The router opens ports by ${list(opening, "and")}.`]),
    ...(absent.length === 0 || gateways.v4 === null ? [] : [`The router does not answer ${list(absent, "or")}.`]),
    ...refusing,
  ];
}

function ipv6Words(facts: NetworkFacts): string[] {
  const address = publicIpv6Here(facts);
  if (address === null) return [];
  const opens = opensPorts(facts, 6) ? ", and the router opens ports to it" : "";
  return [`This machine has the public IPv6 address ${address}${opens}: there nothing is translated.`];
}

/** What to do about `cause`, in sentences. */
export function adviceFor(facts: NetworkFacts, cause: VerdictCause): string[] {
  const router = facts.gateways.v4;
  const page = router === null ? "the router's web page" : `the router's web page (http://${router.address})`;
  const outside = routerAddress(facts) ?? "this router";
  switch (cause) {
    case "own-public":
      return [
        `No router is needed: open the port in this machine's own firewall, and visitors come to ${publicIpv4Here(facts)}.`,
        "At a hosting provider, allow the port in the provider's firewall as well.",
      ];
    case "tunnel":
      return [
        `Use a relay, which works through the tunnel: ${RELAY}.`,
        "Or look whether the VPN forwards a port to you: many do when asked.",
        "The router can help only while the tunnel is down: what comes in by the router would be answered through the tunnel.",
      ];
    case "no-router":
      return ["Connect this machine to a network, and look again."];
    case "line-down":
      return [`Look on ${page} whether its line is connected.`];
    case "no-ipv4":
      return [...ipv6Advice(facts), `For visitors that have IPv4 alone use a relay: ${RELAY}.`];
    case "shared-outside":
    case "shared-inside":
    case "translated-ipv4":
    case "not-internet":
      return [
        `A forward on the router cannot work, because the provider translates its address. Use a relay: ${RELAY}.`,
        ...ipv6Advice(facts),
        "Or ask the provider for a public IPv4 address of your own.",
      ];
    case "seen-otherwise":
      return [
        `The provider translates the address once more, so a forward on the router does not work: use a relay (${RELAY}), or ask the provider for a public IPv4 address of your own.`,
        ...ipv6Advice(facts),
        "If the router has a second line or a VPN of its own, that explains it too: a forward then works at the address of the first line.",
      ];
    case "home-range-outside":
      return [
        `Another router is above this one. Put it into bridge mode, or forward the port there as well, to ${outside}.`,
        `Or use a relay, which needs neither: ${RELAY}.`,
        ...ipv6Advice(facts),
      ];
    case "outless":
      return [
        `A forward on this router alone cannot work, because something above it translates. Use a relay: ${RELAY}.`,
        "If the router's cable leads to another router of yours or the provider's box, put that into bridge mode; if straight into the line, ask the provider for a public IPv4 address of your own.",
        ...ipv6Advice(facts),
      ];
    case "private-outside":
      return [
        `Look where the router's cable leads. If to another router of yours or the provider's box, put that into bridge mode, or forward the port there as well, to ${outside}.`,
        "If straight into the line, the provider translates the address (CGNAT), and no forward can work.",
        `A relay works either way: ${RELAY}.`,
        ...ipv6Advice(facts),
      ];
    case "no-protocol":
      return [...handAdvice(facts, page), `Or use a relay, which needs no forward: ${RELAY}.`, ...ipv6Advice(facts)];
    case "seen-same":
      return ["Open ports with hatchway map."];
    case "unconfirmed":
    case "untold":
      return [
        "Open a port with hatchway map, and see with hatchway check whether it is reached: another translation above the router is not ruled out.",
        `If it is not reached, use a relay: ${RELAY}.`,
      ];
    default:
      return cause satisfies never;
  }
}

function handAdvice(facts: NetworkFacts, page: string): string[] {
  const router = facts.gateways.v4;
  if (router === null) return [];
  const seen = seenOutside(facts.seen.v4);
  const compare =
    routerAddress(facts) === null && seen !== null
      ? [
          `That page also shows the router's address outside: if it is not ${seen}, something above translates, and no forward can work.`,
        ]
      : [];
  return [`On ${page} turn on UPnP, NAT-PMP or PCP, or forward the port by hand to ${router.ownAddress}.`, ...compare];
}

function ipv6Advice(facts: NetworkFacts): string[] {
  const address = publicIpv6Here(facts);
  if (address === null) return [];
  if (opensPorts(facts, 6))
    return [`Visitors that have IPv6 can come to ${address}: hatchway map opens the port there.`];
  return [`Visitors that have IPv6 can come to ${address} once the router's IPv6 firewall lets the port in.`];
}

/** `PCP`, `PCP and NAT-PMP`, `PCP, NAT-PMP or UPnP`. */
function list(words: readonly string[], last: "and" | "or"): string {
  const head = words.slice(0, -1).join(", ");
  return words.length < 2 ? (words[0] ?? "") : `${head} ${last} ${words.at(-1)}`;
}
