// A relay and what is open there, as apps see them (hatchway.d.ts).
/// <reference lib="es2018.asynciterable" />
/// <reference lib="esnext.disposable" />

import type { HatchwayError, RelayFailureKind } from "./hatchway-errors.d.ts";
import type { Abortable, ConnectOptions, ExposeOptions, ListenOptions, SocksOptions } from "./hatchway-options.d.ts";
import type { OnSocket, TunnelSocket, VisitorHandlers } from "./hatchway-sockets.d.ts";

/** Who an app is at a relay. */
export interface Device {
  /** The device's private key and how to know its relay again, in one text. Whoever has it is this device. */
  readonly key: string;
  /** HOST:PORT. */
  readonly relay: string;
  /** How people at the relay call it. */
  readonly name: string;
  /** What lists and logs show: it proves nothing. */
  readonly id: string;
}

export interface Relay extends AsyncDisposable {
  /** down: it is connected again as soon as the relay can be reached. closed: by you, or by the relay (`error`). */
  readonly state: "up" | "down" | "closed";
  /** Why it is down, or was closed by the relay; null = all is well, or you closed it. */
  readonly error: HatchwayError | null;
  /** HOST:PORT. */
  readonly address: string;
  readonly device: Pick<Device, "name" | "id">;
  expose(options: ExposeOptions & Abortable, onVisitor?: OnSocket | VisitorHandlers): Promise<Exposed>;
  connect(options: ConnectOptions & Abortable): Promise<TunnelSocket>;
  listen(options: ListenOptions & Abortable): Promise<Listening>;
  socks(options: SocksOptions & Abortable): Promise<Listening>;
  /**
   * What happens from now on, until it is closed, for `for await`. Who reads slowly gets the last 64 events. Throws
   * `HatchwayError` when the relay closes it: then it does not take the device any more.
   */
  events(): AsyncGenerator<RelayEvent, void, undefined>;
  /** Closes everything that was opened by it, and the connection. May be called again; never rejects. */
  close(): Promise<void>;
}

export type RelayEvent =
  | { readonly type: "up" }
  | { readonly type: "down"; readonly kind: RelayFailureKind; readonly message: string };

/** Public ports that are kept. What it tells is as of now. */
export interface Exposed extends AsyncDisposable {
  /** lost: the relay is away, or does not give them back yet; `error` says why. closed: by you, or by the relay. */
  readonly state: "open" | "lost" | "closed";
  /** Why it is lost, or was closed by the relay; null = all is well, or you closed it. */
  readonly error: HatchwayError | null;
  /** Where visitors come to. Empty unless `state` is `"open"`. */
  readonly endpoints: readonly PublicEndpoint[];
  /** Connections and flows that are open now. */
  readonly visitors: number;
  /**
   * What happens from now on, until it is closed, for `for await`. Who reads slowly gets the last 64 events. Throws
   * `HatchwayError` when the relay closes it.
   */
  events(): AsyncGenerator<ExposedEvent, void, undefined>;
  /** Cuts its connections and gives the ports back. May be called at any time, again too; never rejects. */
  close(): Promise<void>;
}

/** A public port, or a range of them. */
export interface PublicEndpoint {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  /** The same as `port` where it is one port. */
  readonly lastPort: number;
  readonly internalPort: number;
}

export type ExposedEvent =
  | { readonly type: "lost"; readonly kind: RelayFailureKind; readonly message: string }
  /** Open again after `lost`; `before`: where it was then, the same as long as its lifetime has not passed. */
  | {
      readonly type: "reopened";
      readonly endpoints: readonly PublicEndpoint[];
      readonly before: readonly PublicEndpoint[];
    };

/** A port of this machine. */
export interface Listening extends AsyncDisposable {
  readonly state: "open" | "closed";
  /** The address it listens on; `*` = every one. */
  readonly host: string;
  /** The first, where there are several. */
  readonly port: number;
  readonly lastPort: number;
  /** Connections and flows that are open now. */
  readonly visitors: number;
  /** Cuts its connections and stops to listen. May be called at any time, again too; never rejects. */
  close(): Promise<void>;
}
