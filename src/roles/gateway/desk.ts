import type { HeldMapping, MappingBook, MappingOutcome } from "../../core/mapping/book.ts";
import type {
  DeskRefusal,
  ExternalCounters,
  ExternalDelete,
  InternalDelete,
  MapAsk,
  MappingDesk,
  MappingInfo,
  PinholeAsk,
} from "../../core/mapping/desk.ts";
import type { ServerEpoch } from "../../core/mapping/epoch.ts";
import type { MappingRefusal } from "../../core/mapping/refusal.ts";
import type { MappingPolicy } from "../../core/mapping/request.ts";
import type { Protocol } from "../../wire/port-set.ts";
import { ok, type Result } from "../../wire/result.ts";
import { keyOf, parseKey, runsOf } from "./entries.ts";
import type { GatewayMappings } from "./mappings.ts";

export interface DeskOptions {
  readonly book: MappingBook;
  readonly mappings: Pick<GatewayMappings, "carryOut" | "remove" | "usage">;
  readonly epoch: Pick<ServerEpoch, "epochSec">;
  /** What a client may have: asked for each request, because a reload may have changed it. */
  policyFor(requester: string): MappingPolicy;
  externalAddress(): string | null;
  counters(): Promise<ExternalCounters>;
  nowMs(): number;
  /** Monotonic, of the external side. */
  upSinceMs(): number;
  /** A refusal's sentence, for the log. */
  refused(message: string): void;
}

const MS_PER_SEC = 1000;

/** The gateway's desk: the rules of the book, carried out by `GatewayMappings`. */
export function gatewayDesk(options: DeskOptions): MappingDesk {
  const { book, mappings, epoch, policyFor, nowMs } = options;

  const opened = async (decided: Result<MappingOutcome, DeskRefusal>): Promise<Result<MappingInfo, DeskRefusal>> => {
    if (!decided.ok) {
      options.refused(decided.error.message);
      return decided;
    }
    await mappings.carryOut(decided.value);
    return ok(info(decided.value.forward));
  };

  const info = (held: HeldMapping): MappingInfo => mappingInfo(held, book.remainingMs(held, nowMs()));

  const visibleTo = (requester: string, held: HeldMapping): boolean =>
    !policyFor(requester).secureMode || held.spec.to === requester;

  const told = (refusal: MappingRefusal | null): MappingRefusal | null => {
    if (refusal !== null) options.refused(refusal.message);
    return refusal;
  };

  return {
    externalAddress: options.externalAddress,
    uptimeSec: () => Math.floor((nowMs() - options.upSinceMs()) / MS_PER_SEC),
    epochSec: () => epoch.epochSec(nowMs()),
    map: (ask: MapAsk) => opened(book.map(ask, policyFor(ask.requester), nowMs())),
    pin: (ask: PinholeAsk) => opened(book.pin(ask, policyFor(ask.requester), nowMs())),

    async unmapInternal(request: InternalDelete) {
      const { remove, refusal } = book.deletedInternal(request, policyFor(request.requester));
      await mappings.remove(remove, "given back");
      return told(refusal);
    },

    async unmapExternal(request: ExternalDelete): Promise<Result<number, MappingRefusal>> {
      const deleted = book.deletedExternal(request, policyFor(request.requester));
      if (!deleted.ok) {
        told(deleted.error);
        return deleted;
      }
      await mappings.remove(deleted.value, "given back");
      return ok(deleted.value.length);
    },

    async unpin(requester: string, key: string) {
      const { device, id } = parseKey(key);
      const held = book.get(device, id);
      if (held === null) return null;
      if (held.spec.requester === null || !visibleTo(requester, held)) {
        const message = `${requester} asked to delete the pinhole ${key}, which is not its own.`;
        return told({ kind: held.spec.requester === null ? "fixedMapping" : "otherHost", message });
      }
      await mappings.remove([held], "given back");
      return null;
    },

    at(requester: string, protocol: Protocol, externalPort: number) {
      const held = book.at(protocol, externalPort);
      return held === null || !visibleTo(requester, held) ? null : info(held);
    },
    list: (requester) => book.mappingsTo(policyFor(requester).secureMode ? requester : null).map(info),
    pinholes: (requester) => book.pinholesTo(policyFor(requester).secureMode ? requester : null).map(info),

    async pinholePackets(key: string) {
      const { device, id } = parseKey(key);
      const held = book.get(device, id);
      if (held === null) return 0;
      const usage = await mappings.usage();
      const runs = runsOf(book.ofDevice(device)).filter(({ holders }) => holders.includes(held));
      return runs.reduce((sum, run) => sum + (usage.get(run.id)?.packetsIn ?? 0), 0);
    },
    counters: options.counters,
  };
}

function mappingInfo(held: HeldMapping, remainingMs: number | null): MappingInfo {
  const { spec } = held;
  const [port] = spec.ports;
  if (port === undefined) throw new Error(`mapping ${spec.id} has no port`);
  return {
    id: keyOf(held),
    protocol: port.protocol,
    externalPort: port.first,
    lastExternalPort: port.last,
    internalAddress: spec.to,
    internalPort: port.internalFirst,
    description: spec.name,
    enabled: spec.enabled,
    remotes: spec.allow,
    remainingSec: remainingMs === null ? null : Math.ceil(remainingMs / MS_PER_SEC),
    fixed: spec.requester === null,
    nonce: spec.nonce,
  };
}
