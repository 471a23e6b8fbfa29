import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { same } from "../../../core/same.ts";
import { createConntrack, type OpenFlows } from "../../../dataplanes/nat/conntrack.ts";
import { type Finding, readFirewalls, type Surroundings } from "../../../dataplanes/nat/firewalls.ts";
import { createNatPlane } from "../../../dataplanes/nat/plane.ts";
import type { NatEntry, NatError, NatPlane } from "../../../dataplanes/nat/state.ts";
import { createNatVisits, type NatVisit, type NatVisitName } from "../../../dataplanes/nat/visits.ts";
import type { VpnInterface } from "../../../dataplanes/nat/wireguard/state.ts";
import { createWireguard } from "../../../dataplanes/nat/wireguard/wireguard.ts";
import { runCommand } from "../../../os/command.ts";
import { keepConnectionAccounts } from "../../../os/connection-accounts.ts";
import { errorCode } from "../../../os/errors.ts";
import { PRIVATE_FILE_MODE } from "../../../os/files.ts";
import { enableForwarding, type ForwardingState, restoreForwarding } from "../../../os/forwarding.ts";
import { ownAddresses } from "../../../os/interfaces.ts";
import { areaLogger } from "../../../os/log.ts";
import { type AddressClass, classifyAddress } from "../../../wire/address.ts";
import { err } from "../../../wire/result.ts";

/** What stands in the way of forwards, for people. */
export interface FirewallNotice {
  readonly manager: string;
  /** One sentence. */
  readonly why: string;
  /** Commands that mend it at once, and lines that make it last. */
  readonly remedy: readonly string[];
}

/** The kernel's part of a gateway: what needs CAP_NET_ADMIN. */
export interface GatewayKernel {
  readonly plane: NatPlane;
  readonly vpn: VpnInterface;
  /**
   * Lets this machine forward; again when the WAN interfaces may be others. What was before is kept for a clean end.
   * Null = done, else one sentence.
   */
  forward(wan: readonly string[]): Promise<string | null>;
  firewalls(ours: Surroundings): Promise<readonly FirewallNotice[]>;
  /** Connections and flows that are open now, by `flowKey`; none when the kernel does not say. */
  openFlows(): Promise<OpenFlows>;
  /** Connections and flows that are open now through entries, one by one (`NatVisits.list`); none when the kernel does not say. */
  visits(): Promise<readonly NatVisit[]>;
  /** Ends one of them (`NatVisits.end`). False = it is over. Rejects when the kernel does not do it. */
  endVisit(name: NatVisitName): Promise<boolean>;
  /** `clean`: the kernel is as it was before the gateway came. */
  close(options: { readonly clean: boolean }): Promise<void>;
}

/** Where clients can be. Metadata services, multicast, loopback and the like are not among them. */
const HOSTS: readonly AddressClass[] = ["private", "public", "reserved"];
const FORWARDING_FILE = "forwarding.json";
export const KEY_FILE = "wireguard.key";

/** `directory`: root's own, for the WireGuard key and what is to be put back. */
export function gatewayKernel(directory: string): GatewayKernel {
  const log = areaLogger("nat");
  const warn = (message: string) => log.warn("{message}", { message });
  const conntrack = createConntrack({
    run: runCommand,
    ownAddresses: () => ownAddresses().map(({ address }) => address),
  });
  const plane = createNatPlane({
    forget: async (entries) => {
      const forgotten = await conntrack.forget(entries);
      if (!forgotten.ok) warn(forgotten.error.message);
    },
  });
  const vpn = createWireguard({ run: runCommand, keyPath: join(directory, KEY_FILE), onNotice: warn });
  const visits = createNatVisits({
    run: runCommand,
    entries: () => plane.entries,
    shut: async (connection) => {
      const shut = await plane.shut(connection);
      if (!shut.ok) warn(shut.error.message);
    },
  });
  const kept = join(directory, FORWARDING_FILE);
  return {
    plane: guarded(plane, () => new Set(ownAddresses().map(({ address }) => address))),
    vpn,
    async forward(wan) {
      // A gateway that was killed has left what was before it; what is now is its own doing.
      const known = readKept(kept);
      const before = enableForwarding({ wan, ipv6: true }, known);
      if (!before.ok) return before.error.message;
      const { changed, problem } = keepConnectionAccounts();
      if (problem !== null) warn(problem);
      const state = { ...before.value, along: { ...changed, ...before.value.along } };
      if (!same(state, known)) writeFileSync(kept, JSON.stringify(state), { mode: PRIVATE_FILE_MODE });
      return null;
    },
    async firewalls(ours) {
      const found = await readFirewalls(runCommand, ours);
      if (!found.ok) {
        warn(found.error.message);
        return [];
      }
      return found.value.map(({ manager, why, remedy }) => ({ manager, why, remedy: remedyLines(remedy) }));
    },
    async openFlows() {
      const open = await conntrack.open();
      if (open.ok) return open.value;
      warn(open.error.message);
      return new Map();
    },
    async visits() {
      const open = await visits.list();
      if (open.ok) return open.value;
      warn(open.error.message);
      return [];
    },
    async endVisit(name) {
      const ended = await visits.end(name);
      if (ended.ok) return ended.value;
      throw new Error(ended.error.message);
    },
    async close({ clean }) {
      await plane.close({ clean });
      const closed = await vpn.close({ clean });
      if (!closed.ok) warn(closed.error.message);
      const notRestored = clean ? restoreKept(directory) : null;
      if (notRestored !== null) warn(notRestored);
    },
  };
}

/**
 * Forwards lead to other hosts: a gateway that somebody took over must not lead visitors to this machine's own services,
 * which its firewall may keep inside.
 */
export function guarded(plane: NatPlane, own: () => ReadonlySet<string>): NatPlane {
  const problem = (entries: readonly NatEntry[]): NatError | null => {
    if (entries.length === 0) return null;
    const addresses = own();
    const wrong = entries.find(({ to }) => addresses.has(to) || !HOSTS.includes(classifyAddress(to)));
    if (wrong === undefined) return null;
    return {
      kind: "refused",
      message: `A forward leads to another host, not to ${wrong.to}: name a client's address.`,
    };
  };
  return {
    ...bound(plane),
    async replace(settings, entries) {
      const refusal = problem(entries);
      return refusal === null ? await plane.replace(settings, entries) : err(refusal);
    },
    async change(change) {
      const refusal = problem(change.put);
      return refusal === null ? await plane.change(change) : err(refusal);
    },
  };
}

function bound(plane: NatPlane): Pick<NatPlane, "usage" | "drops" | "openTriggers" | "close"> {
  return {
    usage: () => plane.usage(),
    drops: () => plane.drops(),
    openTriggers: () => plane.openTriggers(),
    close: (options) => plane.close(options),
  };
}

/** Puts back what forwarding was before the gateway came, if that is known. Null = done, else one sentence. */
export function restoreKept(directory: string): string | null {
  const kept = join(directory, FORWARDING_FILE);
  const before = readKept(kept);
  if (before === null) return null;
  const restored = restoreForwarding(before);
  if (!restored.ok) return restored.error.message;
  rmSync(kept, { force: true });
  return null;
}

function readKept(path: string): ForwardingState | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ForwardingState;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

function remedyLines({ now, keep }: Finding["remedy"]): string[] {
  const commands = (all: readonly (readonly string[])[]) => all.map((argv) => argv.map(quoted).join(" "));
  return [
    ...commands(now),
    ...keep.files.flatMap(({ path, where, lines }) => [`# to keep it, in ${path}, ${where}:`, ...lines]),
    ...(keep.commands.length === 0 ? [] : ["# to keep it:"]),
    ...commands(keep.commands),
  ];
}

/** As a person would type it. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
