import { failure, fine, type Judgement, skipped, splitAdvice, warning } from "./model.ts";

export interface GatewayRunsFacts {
  /** [gateway] is in hatchway.toml, or one ran with this directory. */
  readonly isSetUp: boolean;
  /** Null = none runs. */
  readonly running: { readonly externalAddress: string | null } | null;
}

export function judgeGatewayRuns({ isSetUp, running }: GatewayRunsFacts): Judgement {
  const externalAddress = running?.externalAddress ?? null;
  if (running !== null)
    return fine(externalAddress === null ? "It runs." : `It runs; visitors come to ${externalAddress}.`);
  if (!isSetUp) return skipped("No gateway runs or was set up on this machine.");
  return failure(
    "A gateway is set up here, and does not run; the kernel may go on with what was open.",
    "Start it: `hatchway gateway`, or its service.",
  );
}

/** Whether the kernel passes IPv4 packets on; null = it cannot be told. */
export function judgeForwarding(forwards: boolean | null): Judgement {
  if (forwards === null) return skipped("This system does not tell whether it forwards packets.");
  if (forwards) return fine("The kernel forwards packets (net.ipv4.ip_forward is 1).");
  return failure(
    "The kernel forwards nothing: net.ipv4.ip_forward is 0, though the gateway had set it.",
    "sysctl -w net.ipv4.ip_forward=1",
  );
}

export type NftSight =
  | { readonly kind: "works" }
  | { readonly kind: "not-root" }
  | { readonly kind: "missing" }
  | { readonly kind: "failed"; readonly message: string };

export function judgeNft(sight: NftSight): Judgement {
  switch (sight.kind) {
    case "works":
      return fine("nftables can be used.");
    case "not-root":
      return skipped("Only root can see whether nftables works.");
    case "missing":
      return failure("There is no program nft.", "Install nftables: `apt install nftables`, or your system's own way.");
    case "failed":
      return failure(
        `nftables does not work: ${sight.message}`,
        "See whether the kernel has nf_tables: `modprobe nf_tables`.",
      );
    default:
      return sight satisfies never;
  }
}

/** A warning of the gateway's own status: the first line says what is, the further ones are commands that mend it. */
export function judgeWarning(text: string): Judgement {
  const [first = "", ...commands] = text.split("\n");
  if (commands.length > 0) return warning(first.replace(/ What mends it:$/, ""), commands.join("\n"));
  const { sentence, remedy } = splitAdvice(first);
  return warning(sentence, remedy);
}

export function judgeServer(name: string, listening: boolean, message: string | null): Judgement | null {
  if (listening || message === null) return null;
  return warning(`${name} does not listen: ${message}`, "Apps cannot ask for ports by it until it does.");
}

export function judgeVpn(
  vpn: { readonly interface: string; readonly peers: number; readonly up: boolean } | null,
): Judgement {
  if (vpn === null) return skipped("The gateway has no VPN.");
  if (vpn.up) return fine(`${vpn.interface} is up, with ${vpn.peers === 1 ? "1 peer" : `${vpn.peers} peers`}.`);
  return failure(
    `The VPN's interface ${vpn.interface} is not up, or is not as it should be.`,
    "`hatchway status` says what keeps it; `hatchway gateway` mends it at its next start.",
  );
}
