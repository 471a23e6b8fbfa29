import type { Result } from "./result.ts";

export type Protocol = "tcp" | "udp";

/** A run of ports as written. `protocol` null = not said in the text: the command's `--protocol` decides. */
export interface PortRange {
  readonly protocol: Protocol | null;
  /** External, inclusive. */
  readonly first: number;
  readonly last: number;
  /** The internal port that `first` maps to; `first + n` maps to `internalFirst + n`. */
  readonly internalFirst: number;
}

/** What a person wrote, checked, sorted and merged: no overlap within one protocol. */
export interface PortSet {
  readonly ranges: readonly PortRange[];
}

/** A range whose protocol is settled. */
export interface PortMapping {
  readonly protocol: Protocol;
  readonly first: number;
  readonly last: number;
  readonly internalFirst: number;
}

/** `message` is one clear sentence; `offset`/`length` point into the text. */
export interface PortSetError {
  readonly message: string;
  readonly offset: number;
  readonly length: number;
  readonly suggestion?: string;
}

export declare function parsePortSet(text: string): Result<PortSet, PortSetError>;
export declare function formatPortSet(set: PortSet): string;
export declare function settleProtocol(set: PortSet, protocol: "tcp" | "udp" | "tcp+udp"): PortMapping[];
