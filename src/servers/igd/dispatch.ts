import { type ActionCall, encodeOutputs, type OutputsFor } from "../../wire/igd/actions.ts";
import { ok, type Result } from "../../wire/result.ts";
import { type ActionRefusal, type Caller, type CallTo, type Outcome, refuse } from "./gateway.ts";
import {
  addPinhole,
  checkPinholeWorking,
  deletePinhole,
  getFirewallStatus,
  getOutboundPinholeTimeout,
  getPinholePackets,
  updatePinhole,
} from "./pinholes.ts";
import {
  addPortMapping,
  deletePortMapping,
  deletePortMappingRange,
  getGenericPortMappingEntry,
  getListOfPortMappings,
  getSpecificPortMappingEntry,
} from "./port-mappings.ts";

/** What a call answers, in the standard's order, or why it was not done. */
type Answer = Result<ReadonlyMap<string, string>, ActionRefusal>;

const ROUTED = "IP_Routed";
/** ConnectionType's values that this gateway knows of, without being any but the first. */
const OTHER_TYPES: readonly string[] = ["Unconfigured", "IP_Bridged"];

/** Does what a control point asks. Rejects only when the desk does: the gateway itself fails. */
export async function dispatch(call: ActionCall, caller: Caller): Promise<Answer> {
  const { desk, upBitsPerSec, downBitsPerSec } = caller.gateway;
  switch (call.action) {
    case "AddPortMapping": {
      const added = await addPortMapping(call, caller);
      return added.ok ? done(call, {}) : added;
    }
    case "AddAnyPortMapping": {
      const added = await addPortMapping(call, caller);
      return added.ok ? done(call, { NewReservedPort: added.value.externalPort }) : added;
    }
    case "DeletePortMapping":
      return answer(call, await deletePortMapping(call, caller));
    case "DeletePortMappingRange":
      return answer(call, await deletePortMappingRange(call, caller));
    case "GetGenericPortMappingEntry":
      return answer(call, getGenericPortMappingEntry(call, caller));
    case "GetSpecificPortMappingEntry":
      return answer(call, getSpecificPortMappingEntry(call, caller));
    case "GetListOfPortMappings":
      return answer(call, getListOfPortMappings(call, caller));
    case "GetExternalIPAddress":
      return done(call, { NewExternalIPAddress: desk.externalAddress() });
    case "GetStatusInfo":
      return done(call, {
        NewConnectionStatus: isUp(caller) ? "Connected" : "Disconnected",
        NewLastConnectionError: "ERROR_NONE",
        NewUptime: isUp(caller) ? Math.floor(desk.uptimeSec()) : 0,
      });
    case "GetNATRSIPStatus":
      return done(call, { NewRSIPAvailable: false, NewNATEnabled: true });
    case "GetConnectionTypeInfo":
      return done(call, { NewConnectionType: ROUTED, NewPossibleConnectionTypes: ROUTED });
    case "SetConnectionType":
      return answer(call, setConnectionType(call));
    case "RequestConnection":
      // The line is the operator's: it is up already, or no client's word brings it up.
      return isUp(caller) ? done(call, {}) : refuse("actionFailed");
    case "ForceTermination":
      return refuse("actionNotAuthorized", `${caller.requester} asked to end the gateway's connection.`);

    case "GetCommonLinkProperties":
      return done(call, {
        NewWANAccessType: "Ethernet",
        NewLayer1UpstreamMaxBitRate: upBitsPerSec,
        NewLayer1DownstreamMaxBitRate: downBitsPerSec,
        NewPhysicalLinkStatus: isUp(caller) ? "Up" : "Down",
      });
    case "GetTotalBytesSent":
      return done(call, { NewTotalBytesSent: (await desk.counters()).bytesOut });
    case "GetTotalBytesReceived":
      return done(call, { NewTotalBytesReceived: (await desk.counters()).bytesIn });
    case "GetTotalPacketsSent":
      return done(call, { NewTotalPacketsSent: (await desk.counters()).packetsOut });
    case "GetTotalPacketsReceived":
      return done(call, { NewTotalPacketsReceived: (await desk.counters()).packetsIn });

    case "GetDefaultConnectionService":
      return done(call, { NewDefaultConnectionService: defaultConnection(caller) });
    case "SetDefaultConnectionService":
      // There is one connection, and so nothing to choose.
      if (call.args.NewDefaultConnectionService === defaultConnection(caller)) return done(call, {});
      return refuse("actionFailed");

    case "GetFirewallStatus":
      return answer(call, getFirewallStatus(caller));
    case "GetOutboundPinholeTimeout":
      return answer(call, getOutboundPinholeTimeout(call, caller));
    case "AddPinhole":
      return answer(call, await addPinhole(call, caller));
    case "UpdatePinhole":
      return answer(call, await updatePinhole(call, caller));
    case "DeletePinhole":
      return answer(call, await deletePinhole(call, caller));
    case "GetPinholePackets":
      return answer(call, await getPinholePackets(call, caller));
    case "CheckPinholeWorking":
      return answer(call, await checkPinholeWorking(call, caller));
    default:
      return call satisfies never;
  }
}

function done<C extends ActionCall>(call: C, outputs: OutputsFor<C>): Answer {
  return ok(encodeOutputs(call, outputs));
}

function answer<C extends ActionCall>(call: C, outcome: Outcome<C>): Answer {
  return outcome.ok ? done(call, outcome.value) : outcome;
}

function isUp({ gateway }: Caller): boolean {
  return gateway.desk.externalAddress() !== null;
}

function setConnectionType({ version, args }: CallTo<"SetConnectionType">): Outcome<CallTo<"SetConnectionType">> {
  if (args.NewConnectionType === ROUTED) return ok({});
  if (!OTHER_TYPES.includes(args.NewConnectionType)) return refuse("invalidArgs");
  // 731 ReadOnly came with WANIPConnection:2.
  return refuse(version === 1 ? "actionFailed" : "readOnly");
}

/** Layer3Forwarding:1 §2.2.1: the device and the service in it. */
function defaultConnection({ gateway, igd }: Caller): string {
  return `uuid:${gateway.wanConnectionUuid}:WANConnectionDevice:${igd},urn:upnp-org:serviceId:WANIPConn1`;
}
