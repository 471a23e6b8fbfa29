import type { Owner } from "../../core/held.ts";
import type { Grant } from "../../core/policy.ts";
import type { Peer } from "../../dataplanes/tunnel/session.ts";
import type { AccountLimits } from "../../store/accounts.ts";
import type { Store } from "../../store/store.ts";
import { type PortSet, parsePortSet } from "../../wire/port-set.ts";

/** What a device may open: its account's share of the relay, and its own of that. */
export interface DeviceGrants {
  readonly account: Grant;
  readonly device: Grant;
  /** The account's name. */
  readonly accountName: string;
}

const NO_PORTS: PortSet = { ranges: [] };
const NOTHING: DeviceGrants = { account: { ports: NO_PORTS }, device: { ports: NO_PORTS }, accountName: "" };

/** The grants of the devices that are connected, read once a session. Of others nothing is known, and nothing granted. */
export class Grants {
  readonly #byDevice = new Map<string, DeviceGrants>();

  constructor(readonly store: Pick<Store, "accounts" | "devices">) {}

  async load({ deviceId, account: accountId }: Pick<Peer, "deviceId" | "account">): Promise<void> {
    const device = await this.store.devices.find(deviceId);
    const account = await this.store.accounts.find(accountId);
    if (!device.ok || account === null) {
      this.forget(deviceId);
      return;
    }
    this.#byDevice.set(deviceId, {
      account: grantOf(account),
      device: { ports: portsOf(device.value.ports) },
      accountName: account.name,
    });
  }

  of({ device }: Owner): DeviceGrants {
    return this.#byDevice.get(device) ?? NOTHING;
  }

  forget(deviceId: string): void {
    this.#byDevice.delete(deviceId);
  }
}

/** What an account may have. */
export function grantOf({ ports, quotaForwards, quotaPorts }: AccountLimits): Grant {
  return {
    ports: portsOf(ports),
    ...(quotaForwards == null ? {} : { maxForwards: quotaForwards }),
    ...(quotaPorts == null ? {} : { maxPorts: quotaPorts }),
  };
}

/** The store holds what `join-code create` checked; a row that no longer parses grants nothing. */
function portsOf(text: string | null): PortSet | null {
  if (text === null) return null;
  const parsed = parsePortSet(text);
  return parsed.ok ? parsed.value : NO_PORTS;
}
