import type { Gateway, MappingWish } from "../../src/core/router/model.ts";
import {
  natPmpAddress,
  natPmpGrant,
  natPmpMapRequest,
  natPmpUnmapped,
  whyNoNatPmp,
} from "../../src/core/router/natpmp-client.ts";
import {
  pcpAnnounceRequest,
  pcpGrant,
  pcpMapRequest,
  pcpUnmapped,
  whyNoPcp,
} from "../../src/core/router/pcp-client.ts";
import { PortMapExchanges } from "../../src/core/router/portmap-exchanges.ts";
import { decodeAnswer, epochSecOf, type PortMapQuestion } from "../../src/core/router/portmap-talk.ts";
import { parseAddress } from "../../src/wire/address.ts";
import type { Result } from "../../src/wire/result.ts";
import { type FuzzCodec, hex, must, mustBeSmall } from "./codec.ts";

const V4 = "00000000000000000000ffff";
const NONCE = "0102030405060708090a0b0c";
const MAP = `${NONCE} 06000000 1234 5678 ${V4} c0000207`;
const GATEWAY: Gateway = {
  family: 4,
  address: "192.168.0.1",
  interfaceName: "eth0",
  ownAddress: "192.168.0.5",
  metric: 0,
};
const WISH: MappingWish = {
  protocol: "tcp",
  internalAddress: "192.168.0.5",
  internalPort: 0x1234,
  externalPort: 0x5678,
  exact: true,
  lifetimeSec: 3_600,
  description: "",
};
const QUESTIONS: readonly PortMapQuestion[] = [
  { protocol: "nat-pmp", request: { kind: "external-address" } },
  { protocol: "nat-pmp", request: natPmpMapRequest(WISH, null) },
  { protocol: "pcp", request: pcpAnnounceRequest(GATEWAY) },
  { protocol: "pcp", request: pcpMapRequest(WISH, null, GATEWAY, { nonce: NONCE, preferFailure: true }) },
];

/** Whatever a router's port sends: it answers a question that was asked, or none, and what comes of it has its bounds. */
export const portmapClient: readonly FuzzCodec[] = [
  {
    name: "portmap-client",
    seeds: hex(
      "00 80 0000 00000102 c0000207",
      "00 82 0000 00000102 1234 5678 00001c20",
      "00 82 0002 00000102 1234 0000 00000000",
      "00 80 0001 00000102",
      "00 83 0005 00000102 0a0b0c",
      `02 80 0001 00000708 00000102 ${"00".repeat(12)}`,
      `02 80 0000 00000000 00000102 ${"00".repeat(12)}`,
      `02 81 0000 00000e10 00000102 ${"00".repeat(12)} ${MAP}`,
      `02 81 000b 00000e10 00000102 ${"00".repeat(12)} ${MAP}`,
      `02 81 0002 ffffffff 00000102 ${"00".repeat(12)} ${MAP}`,
    ),
    check(input) {
      const answer = decodeAnswer(input);
      if (answer === null) return false;
      const exchanges = new PortMapExchanges(() => 0);
      for (const [id, question] of QUESTIONS.entries()) exchanges.ask(id, question, 2_000, 0);
      const actions = exchanges.onAnswer(answer, 1);
      const answered = actions.flatMap((action) => (action.kind === "answered" ? [QUESTIONS[action.id]] : []));
      const isVersion = answer.response.kind === "unsupported-version";
      must(answered.length <= (isVersion ? 2 : 1), "an answer answers one question");
      must(answered.length > 0 || actions.some(({ kind }) => kind === "ignored"), "or is told");
      const epochSec = epochSecOf(answer);
      must(epochSec === null || (epochSec >= 0 && epochSec <= 0xffff_ffff), "an epoch is a number of the wire");
      if (answer.protocol === "nat-pmp") {
        const { response } = answer;
        mustBeSaid([
          natPmpGrant(response, GATEWAY),
          natPmpAddress(response, GATEWAY),
          natPmpUnmapped(response, GATEWAY),
        ]);
        must(whyNoNatPmp(response, GATEWAY)?.message !== "", "a reason is a sentence");
      } else {
        const { response } = answer;
        mustBeSaid([pcpGrant(response, GATEWAY), pcpUnmapped(response, GATEWAY)]);
        must(whyNoPcp(response, GATEWAY)?.message !== "", "a reason is a sentence");
      }
      return answered.length > 0;
    },
  },
];

type Said = Result<
  | { readonly externalPort: number; readonly externalAddress: string | null; readonly lifetimeSec: number | null }
  | string
  | null,
  { readonly message: string; readonly retryAfterSec?: number }
>;

function mustBeSaid(results: readonly Said[]): void {
  for (const result of results) {
    if (!result.ok) {
      mustBeSmall(result.error.message.length, 0);
      must(
        (result.error.retryAfterSec ?? 1) > 0 && (result.error.retryAfterSec ?? 1) <= 1_800,
        "a wait has its bounds",
      );
      continue;
    }
    const { value } = result;
    if (value === null || typeof value === "string") {
      must(value === null || parseAddress(value).ok, "an address is one");
      continue;
    }
    must(value.externalPort > 0 && value.externalPort <= 65_535, "a port is one");
    must((value.lifetimeSec ?? 1) > 0, "a lease has a time");
    must(value.externalAddress === null || parseAddress(value.externalAddress).ok, "an address is one");
  }
}
