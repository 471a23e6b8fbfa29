import type { MappingSpec } from "../../core/mapping/spec.ts";
import { messageOf } from "../../os/errors.ts";
import { type GatewayView, gatewayControl } from "../gateway/control.ts";
import { countersOf, runsOfOne } from "../gateway/forward-info.ts";
import { ConsoleGateway } from "./gateway.ts";
import { ConsoleMappings } from "./gateway-forwards.ts";
import { kernelSight } from "./gateway-sight.ts";
import { KernelCounts } from "./kernel-counts.ts";
import { TrafficRecorder } from "./traffic.ts";

export interface GatewayBackendsOptions {
  readonly gateway: GatewayView;
  /** Dangers of what a port set would open, a sentence each. */
  warningsFor(ports: MappingSpec["ports"]): readonly string[];
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  /** Something the operator should know, one sentence. */
  warn(message: string): void;
}

/** What a gateway gives to a console: its own, or that of a relay in the same process. */
export interface GatewayBackends {
  /** Its mappings, as the API has a relay's forwards. */
  readonly forwards: ConsoleMappings;
  readonly gateway: ConsoleGateway;
  /** Writes down what was carried until now. Never rejects. */
  record(): Promise<void>;
  /** Whose peers are may be another now. */
  accountChanged(accountId: string): Promise<void>;
}

/** In the records of what was carried: hosts of the LAN are nobody's. */
const NOBODY = "";

export function gatewayBackends(options: GatewayBackendsOptions): GatewayBackends {
  const { gateway, warningsFor, signal, warn } = options;
  const sight = kernelSight(gateway);
  const counts = new KernelCounts();
  const recorder = new TrafficRecorder({
    traffic: gateway.store.traffic,
    *forwards() {
      for (const held of gateway.book.list()) {
        const isPeers = gateway.vpn.peerOf(held.owner.device) !== null;
        yield isPeers ? held : { ...held, owner: { ...held.owner, account: NOBODY } };
      }
    },
    countersOf: (held) => counts.of(held),
    deviceName: (device) => gateway.vpn.peerOf(device)?.name ?? device,
    wallMs: gateway.wallMs,
    warn,
  });
  const vpn = new ConsoleGateway({ gateway, sight });
  const control = gatewayControl(gateway);
  return {
    forwards: new ConsoleMappings({ gateway, control, sight, vpn, warningsFor, signal }),
    gateway: vpn,
    async record() {
      try {
        const traffic = await sight.traffic.get();
        counts.read([...gateway.book.list()].map((held) => [held, countersOf(runsOfOne(gateway, held), traffic)]));
      } catch (error) {
        warn(`what was carried could not be read: ${messageOf(error)}`);
        return;
      }
      await recorder.record();
    },
    accountChanged: () => gateway.vpn.ownersChanged(),
  };
}
