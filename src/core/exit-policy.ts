import { type AddressClass, addressBytes, addressFromBytes, classifyAddress } from "../wire/address.ts";
import { formatHostPort } from "../wire/endpoint.ts";
import type { Protocol } from "../wire/port-set.ts";
import type { ReasonName } from "../wire/reason.ts";
import { quoted } from "../wire/text-error.ts";
import { compileExposedHost, compileHost, type ExitDestination, type HostMatcher } from "./exit-matcher.ts";
import type { ExitRule } from "./exit-rule.ts";

export interface ExitPolicyOptions {
  /** `allow` of the configuration; for a relay without one, `PUBLIC_ONLY`. */
  readonly rules: readonly ExitRule[];
  /** What this machine's own forwards lead to: allowed because its configuration says so. */
  readonly exposed?: readonly ExitRule[];
  /** Every address of this machine; make the policy anew when they change. */
  readonly ownAddresses: Iterable<string>;
}

export interface ExitRefusal {
  readonly reason: Extract<ReasonName, "exitNotAllowed">;
  /** For this machine's log and `status`; whoever asked only learns the reason. */
  readonly message: string;
}

interface CompiledRule {
  readonly host: HostMatcher;
  readonly ports: ExitRule["ports"];
}

const CLASS_WORDS: Readonly<Record<AddressClass, string>> = {
  public: "a public address",
  loopback: "a loopback address",
  "link-local": "a link-local address",
  private: "a private address",
  metadata: "a cloud metadata address",
  unspecified: "not the address of a machine",
  multicast: "a multicast address",
  reserved: "a reserved address",
};

/**
 * Which destinations an exit dials (SSRF defence). Both questions must be answered with null, in this order: the name
 * before it is resolved, so that a refused name is not even looked up, and each resolved address after. The caller
 * connects to the address it asked about, and resolves no second time.
 */
export class ExitPolicy {
  readonly #rules: readonly CompiledRule[];
  readonly #own: ReadonlySet<string>;

  constructor({ rules, exposed = [], ownAddresses }: ExitPolicyOptions) {
    this.#rules = [
      ...exposed.map(({ host, ports }) => ({ host: compileExposedHost(asAsked(host)), ports })),
      ...rules.map(({ host, ports }) => ({ host: compileHost(host), ports })),
    ];
    this.#own = new Set([...ownAddresses].map((address) => canonical(address) ?? address));
  }

  /** Null when some rule could allow the host and port; an IP literal is decided at once. O(rules). */
  refusesName(host: string, port: number, protocol: Protocol): ExitRefusal | null {
    if (canonical(host) !== null) return this.refusesAddress(host, host, port, protocol);
    const asked = asAsked(host);
    if (this.#rules.some((rule) => covers(rule, port, protocol) && rule.host.mayAllowName(asked))) return null;
    return refusal(`No rule lets visits out to ${quoted(formatHostPort(asked, port))}`, asked, port);
  }

  /** Null when `address`, which `host` resolved to, may be dialled. O(rules). */
  refusesAddress(host: string, address: string, port: number, protocol: Protocol): ExitRefusal | null {
    const resolved = canonical(address);
    if (resolved === null) return refusal(`${quoted(address)} is not an IP address`, address, port);
    const destination: ExitDestination = {
      host: asAsked(host),
      address: resolved,
      class: classifyAddress(resolved),
      own: this.#own.has(resolved),
    };
    if (this.#rules.some((rule) => covers(rule, port, protocol) && rule.host.allows(destination))) return null;
    const kind = destination.own ? "an address of this machine" : CLASS_WORDS[destination.class];
    const via = destination.host === resolved ? "" : ` for ${quoted(destination.host)}`;
    return refusal(
      `No rule lets visits out to ${formatHostPort(resolved, port)}${via}, which is ${kind}`,
      resolved,
      port,
    );
  }
}

function refusal(problem: string, host: string, port: number): ExitRefusal {
  const rule = quoted(formatHostPort(host, port));
  return { reason: "exitNotAllowed", message: `${problem}; to allow it, add ${rule} to allow in hatchway.toml.` };
}

function covers({ ports }: CompiledRule, port: number, protocol: Protocol): boolean {
  return ports === null || ports.some((one) => one.protocol === protocol && one.first <= port && port <= one.last);
}

/** Canonical text without a zone id; null when the text is no address. */
function canonical(text: string): string | null {
  const bytes = addressBytes(text);
  return bytes === null ? null : addressFromBytes(bytes);
}

function asAsked(host: string): string {
  const address = canonical(host);
  if (address !== null) return address;
  const name = host.toLowerCase();
  return name.endsWith(".") ? name.slice(0, -1) : name;
}
