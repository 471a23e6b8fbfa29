import { grantedLifetimeSec, NAT_PMP_LIFETIME } from "../../core/mapping/lifetime.ts";
import { REFUSAL_CODES } from "../../core/mapping/refusal.ts";
import {
  decodeNatPmpRequest,
  encodeNatPmpResponse,
  type NatPmpRequest,
  type NatPmpResponse,
  NatPmpResult,
  type NatPmpResultCode,
} from "../../wire/natpmp.ts";
import { MAX_MESSAGE_BYTES } from "../../wire/pcp/message.ts";
import { answerNow, type DeskView, type Reply, SILENCE } from "./reply.ts";

type MapRequest = Extract<NatPmpRequest, { kind: "map" }>;
type WithoutEpoch<T> = T extends unknown ? Omit<T, "epochSec"> : never;

/** A NAT-PMP request of `requester` (RFC 6886 §3). */
export function answerNatPmp(datagram: Uint8Array, requester: string, desk: DeskView): Reply {
  // The longest request has 12 bytes; an unknown one is returned whole (§3.5), which needs a bound.
  if (datagram.length > MAX_MESSAGE_BYTES) return SILENCE;
  const decoded = decodeNatPmpRequest(datagram);
  if (decoded.ok) {
    const request = decoded.value;
    return request.kind === "map" ? answerMap(request, requester, desk) : answerNow(addressAnswer(desk));
  }
  const { error } = decoded;
  switch (error.kind) {
    case "too-short":
    case "response":
      return SILENCE;
    case "unsupported-version":
    case "unsupported-opcode":
      return answerNow(encode(error, desk));
    default:
      return error satisfies never;
  }
}

/** The external address, which is also what an announcement says (§3.2, 3.2.1): never 0.0.0.0 as if it were one. */
export function addressAnswer(desk: DeskView): Uint8Array {
  const address = desk.externalAddress();
  return encode(
    address === null
      ? { kind: "failure", result: NatPmpResult.networkFailure, request: { kind: "external-address" } }
      : { kind: "external-address", address },
    desk,
  );
}

function answerMap(request: MapRequest, requester: string, desk: DeskView): Reply {
  const { protocol, internalPort, externalPort } = request;
  const lifetimeSec = grantedLifetimeSec(request.lifetimeSec, NAT_PMP_LIFETIME);
  const failure = (result: NatPmpResultCode) => encode({ kind: "failure", result, request }, desk);
  const answers = {
    refused: ({ kind }: { readonly kind: keyof typeof REFUSAL_CODES }) => failure(REFUSAL_CODES[kind].natPmp),
    // §3.5 has no better word for "later".
    failed: () => failure(NatPmpResult.outOfResources),
  };
  if (lifetimeSec === null) {
    return {
      kind: "unmap",
      request: {
        requester,
        internalAddress: requester,
        request: { via: "natPmp", protocol, internalPort, nonce: null },
      },
      // §3.4: the external port and the lifetime are 0.
      done: () => encode({ kind: "map", protocol, internalPort, externalPort: 0, lifetimeSec: 0 }, desk),
      ...answers,
    };
  }
  if (desk.externalAddress() === null) return answerNow(failure(NatPmpResult.networkFailure));
  return {
    kind: "map",
    ask: {
      ask: { via: "natPmp" },
      requester,
      internalAddress: requester,
      protocol,
      internalPort,
      externalPort,
      lifetimeSec,
      description: "",
      remotes: [],
      enabled: true,
    },
    // The internal port goes back as it came, 0 included, whatever it became: by it a client knows its answer (§3.3), and
    // those of VPN providers, which send 0 for "the same as the external port", take another one for a failure (gluetun).
    done: (info) => encode({ kind: "map", protocol, internalPort, externalPort: info.externalPort, lifetimeSec }, desk),
    ...answers,
  };
}

function encode(response: WithoutEpoch<NatPmpResponse>, desk: DeskView): Uint8Array {
  return encodeNatPmpResponse({ ...response, epochSec: desk.epochSec() });
}
