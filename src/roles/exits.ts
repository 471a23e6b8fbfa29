import { ExitPolicy, type ExitRefusal } from "../core/exit-policy.ts";
import type { ExitRule } from "../core/exit-rule.ts";
import type { Allows } from "../dataplanes/direct/exit.ts";
import { ownAddresses } from "../os/interfaces.ts";

/** The machine's addresses change (DHCP, VPN): they are read again at the first question after this long. */
const OWN_ADDRESSES_MS = 5_000;

export interface LiveExitOptions {
  /** Asked whenever the policy is made anew. */
  rules(): readonly ExitRule[];
  exposed(): readonly ExitRule[];
  nowMs(): number;
  onRefused(refusal: ExitRefusal): void;
}

/** An exit policy that follows the configuration and the machine's own addresses. */
export class LiveExitPolicy implements Allows {
  readonly #options: LiveExitOptions;
  #policy: ExitPolicy | null = null;
  #madeMs = 0;

  constructor(options: LiveExitOptions) {
    this.#options = options;
  }

  /** The rules changed: the next question is answered by the new ones. */
  changed(): void {
    this.#policy = null;
  }

  name(host: string, port: number, protocol: "tcp" | "udp"): boolean {
    return this.#allowed(this.#current().refusesName(host, port, protocol));
  }

  address(host: string, address: string, port: number, protocol: "tcp" | "udp"): boolean {
    return this.#allowed(this.#current().refusesAddress(host, address, port, protocol));
  }

  #allowed(refusal: ExitRefusal | null): boolean {
    if (refusal !== null) this.#options.onRefused(refusal);
    return refusal === null;
  }

  #current(): ExitPolicy {
    const nowMs = this.#options.nowMs();
    if (this.#policy === null || nowMs - this.#madeMs > OWN_ADDRESSES_MS) {
      this.#policy = new ExitPolicy({
        rules: this.#options.rules(),
        exposed: this.#options.exposed(),
        ownAddresses: ownAddresses().map(({ address }) => address),
      });
      this.#madeMs = nowMs;
    }
    return this.#policy;
  }
}
