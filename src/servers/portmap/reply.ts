import type {
  DeskRefusal,
  InternalDelete,
  MapAsk,
  MappingDesk,
  MappingInfo,
  PinholeAsk,
} from "../../core/mapping/desk.ts";

/** What a dialogue may ask of the desk without waiting. */
export type DeskView = Pick<MappingDesk, "externalAddress" | "epochSec" | "list" | "pinholes">;

/** Which protocols are spoken, and how. */
export interface PortMapRules {
  readonly natPmp: boolean;
  readonly pcp: boolean;
  /** Whether a PCP client may ask for another host (RFC 6887 §13.1). */
  readonly thirdParty: boolean;
}

/** What becomes of one datagram: nothing, one answer at once, or one answer when the desk has spoken. */
export type Reply = { readonly kind: "silence" } | { readonly kind: "answer"; readonly bytes: Uint8Array } | Question;

/** A request that the desk has to decide. Each of its outcomes has one answer, made with the epoch of that moment. */
export type Question =
  | ({ readonly kind: "map"; readonly ask: MapAsk } & Answers<MappingInfo>)
  | ({ readonly kind: "pin"; readonly ask: PinholeAsk } & Answers<MappingInfo>)
  | ({ readonly kind: "unmap"; readonly request: InternalDelete } & Answers<null>);

interface Answers<T> {
  readonly done: (value: T) => Uint8Array;
  readonly refused: (refusal: DeskRefusal) => Uint8Array;
  /** The gateway itself failed: the protocol's own "try again". */
  readonly failed: () => Uint8Array;
}

export const SILENCE: Reply = { kind: "silence" };

export function answerNow(bytes: Uint8Array): Reply {
  return { kind: "answer", bytes };
}
