import type {
  VpnApplied,
  VpnError,
  VpnInterface,
  VpnState,
  VpnStatus,
} from "../../src/dataplanes/nat/wireguard/state.ts";
import { INTERFACE_NAME } from "../../src/wire/interface-name.ts";
import { err, ok, type Result } from "../../src/wire/result.ts";
import type { WgKey } from "../../src/wire/wireguard/key.ts";

/** The machine that MemoryVpn is on: what is in it outlives whoever holds it. */
export class MemoryVpnMachine {
  readonly interfaces = new Map<string, { readonly publicKey: WgKey; state: VpnState }>();
  changes = 0;
}

/** A VpnInterface without an operating system. */
export class MemoryVpn implements VpnInterface {
  readonly #machine: MemoryVpnMachine;
  readonly #publicKey: WgKey;
  #name: string | null = null;
  /** What `apply` answers from now on; null = it works. */
  failure: VpnError | null = null;

  constructor(machine: MemoryVpnMachine, publicKey: WgKey) {
    this.#machine = machine;
    this.#publicKey = publicKey;
  }

  async apply(desired: VpnState): Promise<Result<VpnApplied, VpnError>> {
    const { interfaces } = this.#machine;
    const name = desired.interface;
    if (this.failure !== null) return err(this.failure);
    if (!INTERFACE_NAME.test(name)) return err({ kind: "refused", message: `${JSON.stringify(name)} is no name.` });
    const present = interfaces.get(name);
    if (present !== undefined && present.publicKey !== this.#publicKey) {
      return err({ kind: "refused", message: `${name} is another WireGuard interface.` });
    }
    if (this.#name !== null && this.#name !== name) interfaces.delete(this.#name);
    this.#name = name;
    const state = structuredClone(desired);
    if (present === undefined || !Bun.deepEquals(sorted(present.state), sorted(state))) {
      interfaces.set(name, { publicKey: this.#publicKey, state });
      this.#machine.changes++;
    }
    return ok({ backend: "kernel", publicKey: this.#publicKey, warnings: [] });
  }

  async status(): Promise<Result<VpnStatus, VpnError>> {
    const present = this.#name === null ? undefined : this.#machine.interfaces.get(this.#name);
    if (present === undefined) return ok({ up: false, peers: [] });
    const never = { endpoint: null, latestHandshakeMs: null, receivedBytes: 0, sentBytes: 0 };
    return ok({ up: true, peers: present.state.peers.map(({ publicKey }) => ({ publicKey, ...never })) });
  }

  async close({ clean }: { readonly clean: boolean }): Promise<Result<null, VpnError>> {
    if (clean && this.#name !== null) this.#machine.interfaces.delete(this.#name);
    return ok(null);
  }
}

function sorted(state: VpnState): VpnState {
  return { ...state, peers: state.peers.toSorted((a, b) => (a.publicKey < b.publicKey ? -1 : 1)) };
}
