import type { ByteEnd } from "../../../dataplanes/io/ends.ts";
import type { Peer } from "../../../dataplanes/tunnel/session.ts";
import type { SshHandler } from "../../../servers/ssh/service.ts";
import type { Endpoint, HostPort } from "../../../wire/endpoint.ts";
import type { ReasonName } from "../../../wire/reason.ts";
import type { OpenRequest } from "../../../wire/tunnel/open.ts";

/** A client's connection: of this process, or carried by one that was the relay before (carried.ts). */
export interface ClientConnection {
  /** `address:port` of the client. */
  readonly remoteAddress: string;
  /** The address of this machine that it reached. */
  readonly localAddress: string;
  readonly ends: { readonly visitor: Endpoint; readonly entry: Endpoint };
  readonly measuredRttMs: number | null;
  /** See ConnectionService. */
  openForwarded(bound: HostPort, visitor: Endpoint, onGone: (() => void) | null): ByteEnd | ReasonName;
  openForwardedSocket(path: string, onGone: (() => void) | null): ByteEnd | ReasonName;
  /** Another connection of its device has the port now: who carries it is told. */
  lost?(port: number): void;
  /** Said in every session that shows text. */
  say(lines: readonly string[]): void;
  close(why: string): void;
}

/** What carries out what a client asks: this process, or the one that is the relay now. */
export interface Behind extends Omit<SshHandler, "view" | "closed"> {
  /** Asks another process what it counted for the client: the answer comes later. Left out where there is none. */
  count?(): void;
}

/** A forward that one connection serves. */
export interface ServedForward {
  readonly id: string;
  readonly handle: number;
  /** The public port. */
  readonly port: number;
  /** As the client asked for it: visitors are told to it by these words. */
  readonly bindHost: string;
}

/** What the parts see of a device that is connected by SSH, once or more often. */
export interface ConnectedDevice {
  readonly peer: Peer;
  /** Its grants are known: nothing is opened before. */
  readonly begun: Promise<void>;
  readonly clients: Set<ConnectedClient>;
  /** By the handle that a forward has. */
  readonly serving: Map<number, ConnectedClient>;
}

/** And of one of its connections. */
export interface ConnectedClient {
  readonly device: ConnectedDevice;
  readonly connection: ClientConnection;
  /** See SshPrincipal. */
  readonly keyFingerprint: string | null;
  /** By public port. */
  readonly forwards: ReadonlyMap<number, ServedForward>;
  /** Ids of forwards that are being asked for. */
  readonly claimed: ReadonlySet<string>;
  openForwarded(request: Extract<OpenRequest, { kind: "forward" }>, onGone: (() => void) | null): ByteEnd | ReasonName;
  /** Another connection of its device has the port now. */
  lose(port: number): void;
}
