import { formatSpan, MIN_PORT, type PortSpan } from "../../core/port-spans.ts";
import { INTERFACE_NAME } from "../../wire/interface-name.ts";
import { isAddress } from "./sources.ts";
import type { NatChange, NatEntry, NatError, NatLimits, NatSettings } from "./state.ts";

/**
 * What nft would not notice, or would read as something else. The caller has checked its input; this is the last wall
 * before a program that runs as root.
 */
const MAX_PORT = 65_535;
const SEC_PER_DAY = 86_400;
/** The kernel counts in nanoseconds, and nothing comes faster. */
const RATE_MAX = 1_000_000;

export function settingsProblem(settings: NatSettings): NatError | null {
  const { wan, lan, vpn, externalAddresses, limits, triggers, snatPorts } = settings;
  if (wan.length === 0) return refused("Name at least one interface that leads outside.");
  const names = [...wan, ...lan, ...(vpn === null ? [] : [vpn.interface])];
  const badName = names.find((name) => !INTERFACE_NAME.test(name));
  if (badName !== undefined) return refused(`${JSON.stringify(badName)} is not a name of a network interface.`);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined)
    return refused(`Name the interface ${twice} once: it leads outside, or to clients, or is the VPN's.`);
  const badAddress = externalAddresses.find((address) => !isAddress(address, 4));
  if (badAddress !== undefined) return refused(`${JSON.stringify(badAddress)} is not an IPv4 address.`);
  if (!isSpan(snatPorts)) return refused("Give the source ports of masqueraded traffic as a range from 1 to 65535.");
  const badRule = triggers.find(({ timeoutSec }) => !Number.isInteger(timeoutSec) || timeoutSec < 1);
  if (badRule !== undefined)
    return refused(`Give the trigger ${JSON.stringify(badRule.name)} a timeout of whole seconds.`);
  const ruleTwice = triggers.find(({ name }, at) => triggers.findIndex((rule) => rule.name === name) !== at);
  if (ruleTwice !== undefined) return refused(`Two triggers are called ${JSON.stringify(ruleTwice.name)}; rename one.`);
  return limitsProblem(limits);
}

/** Which entry has a port of an external side; of each pinhole's host on its own. */
export class PortOwners {
  readonly #owners = new Map<string, Map<number, string>>();

  /** Why a change cannot be made, or null. `entries`: those before it. */
  problem(change: NatChange, entries: ReadonlyMap<string, NatEntry>): NatError | null {
    const leaving = new Set([...change.remove, ...change.put.map(({ id }) => id)]);
    const coming = new PortOwners();
    const ids = new Set<string>();
    for (const entry of change.put) {
      const problem = entryProblem(entry);
      if (problem !== null) return problem;
      if (ids.has(entry.id)) return refused(`Two entries have the id ${JSON.stringify(entry.id)}.`);
      ids.add(entry.id);
      const owners = this.#owners.get(scopeOf(entry));
      for (let port = entry.first; port <= entry.last; port++) {
        const owner = owners?.get(port);
        const other =
          owner !== undefined && !leaving.has(owner) ? owner : coming.#owners.get(scopeOf(entry))?.get(port);
        if (other === undefined) continue;
        const ports = formatSpan(entries.get(other) ?? { first: port, last: port });
        return refused(`Port ${port}/${entry.protocol} is taken: entry ${JSON.stringify(other)} has ${ports}.`);
      }
      coming.#put(entry);
    }
    return null;
  }

  change({ put, remove }: NatChange, entries: ReadonlyMap<string, NatEntry>): void {
    for (const id of [...remove, ...put.map((entry) => entry.id)]) {
      const entry = entries.get(id);
      if (entry !== undefined) this.#remove(entry);
    }
    for (const entry of put) this.#put(entry);
  }

  #put(entry: NatEntry): void {
    const scope = scopeOf(entry);
    const owners = this.#owners.get(scope) ?? new Map<number, string>();
    this.#owners.set(scope, owners);
    for (let port = entry.first; port <= entry.last; port++) owners.set(port, entry.id);
  }

  #remove(entry: NatEntry): void {
    const owners = this.#owners.get(scopeOf(entry));
    for (let port = entry.first; port <= entry.last; port++) if (owners?.get(port) === entry.id) owners.delete(port);
    if (owners?.size === 0) this.#owners.delete(scopeOf(entry));
  }
}

function entryProblem(entry: NatEntry): NatError | null {
  const named = `entry ${JSON.stringify(entry.id)}`;
  if (!isSpan(entry)) return refused(`Give ${named} ports from ${MIN_PORT} to ${MAX_PORT}, the lower one first.`);
  if (entry.protocol !== "tcp" && entry.protocol !== "udp") return refused(`Make ${named} tcp or udp.`);
  const family = entry.kind === "forward" ? 4 : 6;
  if (!isAddress(entry.to, family)) return refused(`Give ${named} an IPv${family} address of a client.`);
  if (
    entry.kind === "forward" &&
    !isSpan({ first: entry.internalFirst, last: entry.internalFirst + entry.last - entry.first })
  )
    return refused(`The internal ports of ${named} would lie outside ${MIN_PORT}-${MAX_PORT}.`);
  const badPort = entry.allow.find(({ port }) => port !== null && !isPort(port));
  if (badPort !== undefined) return refused(`A source port of ${named} lies outside ${MIN_PORT}-${MAX_PORT}.`);
  return entry.limits === null ? null : limitsProblem(entry.limits);
}

function limitsProblem(limits: NatLimits): NatError | null {
  const { connectionsPerSource, newPerSourcePerSec } = limits;
  if (connectionsPerSource !== null && !(Number.isInteger(connectionsPerSource) && connectionsPerSource >= 1)) {
    return refused(
      `Connections of a source are a whole number from 1 on, or without limit; ${connectionsPerSource} is not.`,
    );
  }
  if (newPerSourcePerSec !== null && !(newPerSourcePerSec * SEC_PER_DAY >= 1 && newPerSourcePerSec <= RATE_MAX)) {
    return refused(
      `New connections of a source are from 1 a day to ${RATE_MAX} a second; ${newPerSourcePerSec} a second is not.`,
    );
  }
  return null;
}

function scopeOf(entry: NatEntry): string {
  return entry.kind === "forward" ? entry.protocol : `${entry.protocol} ${entry.to}`;
}

function isSpan({ first, last }: PortSpan): boolean {
  return isPort(first) && isPort(last) && first <= last;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= MIN_PORT && port <= MAX_PORT;
}

function refused(message: string): NatError {
  return { kind: "refused", message };
}
