import { join } from "node:path";
import { createNatPlane, type NatPlaneOptions } from "../../src/dataplanes/nat/plane.ts";
import type { DropReason, HeldNatPlane, NatEntry, NatPlane, NatSettings } from "../../src/dataplanes/nat/state.ts";
import { natSettings } from "../contract/nat-plane.ts";
import type { Child } from "./child.ts";
import { createLab, type Host, type Lab } from "./lab.ts";
import { eventually } from "./ready.ts";

const PEER = join(import.meta.dir, "peers", "nat-plane.ts");
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"] as const;
/** Of a lone packet that must not be answered: the drop is seen in a counter before, so this is for what has none. */
const ASK_SECONDS = 3;

/** The lab's NAT box with a plane of ours on it, and what visitors and clients do there. */
export interface NatLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly plane: NatPlane;
  /** All that the plane asked to be forgotten. */
  readonly forgotten: NatEntry[];
  nft(...args: readonly string[]): Promise<string>;
  /** A set's elements as nft prints them. */
  serve(host: Host, name: string, ...specs: readonly string[]): Promise<Child>;
  /** What the service says: `NAME PORT VISITOR VISITOR-PORT`, or "" when the connection is refused or nobody answers. */
  askTcp(from: Host, to: string, port: number, bind?: string): Promise<string>;
  askUdp(from: Host, to: string, port: number, bind?: string, bindPort?: number): Promise<string>;
  peer(host: Host, ...args: readonly (string | number)[]): Child;
  /** Starts an attempt, waits until the plane counts a drop for this reason, and gives what was answered until then. */
  dropped(reason: DropReason, attempt: () => Child): Promise<string[]>;
  tcpAttempt(from: Host, to: string, port: number, bind?: string): Child;
  udpAttempt(from: Host, to: string, port: number, bind?: string, bindPort?: number): Child;
  set(settings: Partial<NatSettings>, entries?: readonly NatEntry[]): Promise<void>;
  /** Another plane on the same machine, after this one has been closed. */
  newPlane(options?: Partial<NatPlaneOptions>): HeldNatPlane;
}

export function createNatLab(): NatLab {
  const lab = createLab({ natRules: false });
  const forgotten: NatEntry[] = [];
  const newPlane = (options: Partial<NatPlaneOptions> = {}): HeldNatPlane =>
    createNatPlane({
      prefix: ["ip", "netns", "exec", lab.nat.namespace],
      async forget(entries) {
        forgotten.push(...entries);
      },
      ...options,
    });
  const plane = newPlane();
  const family = (host: string): string => (host.includes(":") ? `6:[${host}]` : `4:${host}`);
  const bound = (bind: string | undefined): string =>
    bind === undefined ? "" : `,bind=${bind.includes(":") ? `[${bind}]` : bind}`;

  const natLab: NatLab = {
    lab,
    plane,
    forgotten,
    newPlane,
    async nft(...args) {
      const result = await lab.exec(lab.nat, ["nft", ...args]);
      if (result.exitCode !== 0) throw new Error(`nft ${args.join(" ")}: ${result.stderr}`);
      return result.stdout;
    },
    async serve(host, name, ...specs) {
      const child = natLab.peer(host, "serve", name, ...specs);
      await child.event("ready");
      return child;
    },
    peer: (host, ...args) => lab.spawn(host, [...BUN, PEER, ...args.map(String)]),
    tcpAttempt: (from, to, port, bind) =>
      lab.spawn(from, [
        "socat",
        "-u",
        `TCP${family(to)}:${port}${bound(bind)},connect-timeout=${ASK_SECONDS}`,
        "SYSTEM:head -n 1",
      ]),
    udpAttempt: (from, to, port, bind, bindPort = 0) =>
      natLab.peer(from, "udp", to, port, bind ?? (to.includes(":") ? "::" : "0.0.0.0"), bindPort),
    async askTcp(from, to, port, bind) {
      await using child = natLab.tcpAttempt(from, to, port, bind);
      await child.exited;
      return child.stdout[0] ?? "";
    },
    async askUdp(from, to, port, bind, bindPort) {
      await using child = natLab.udpAttempt(from, to, port, bind, bindPort);
      return (await child.event<{ answer: string }>("done")).answer;
    },
    async dropped(reason, attempt) {
      const before = (await plane.drops())[reason];
      await using child = attempt();
      await eventually(`a drop counted as ${reason}`, async () =>
        (await plane.drops())[reason] > before ? true : undefined,
      );
      return child.stdout.filter((line) => !line.includes('"sent"'));
    },
    async set(settings, entries = []) {
      const done = await plane.replace(natSettings(settings), entries);
      if (!done.ok) throw new Error(done.error.message);
    },
    async [Symbol.asyncDispose]() {
      await plane.close({ clean: true });
      await lab[Symbol.asyncDispose]();
    },
  };
  return natLab;
}
