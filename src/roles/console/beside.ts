import type { ForwardsBackend, GatewayBackend } from "../../servers/api/backend.ts";

/** What a gateway gives to the console of a relay in the same process. */
export interface GatewayBeside {
  readonly forwards: ForwardsBackend;
  readonly gateway: GatewayBackend;
  /** Writes down what was carried until now. Never rejects. */
  record(): Promise<void>;
  /** Whose VPN peers are may be another now. */
  accountChanged(accountId: string): Promise<void>;
}
