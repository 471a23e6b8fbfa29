/** What handing over has to do with a relay's SSH server. Of a relay that has none, nothing is to be handed over. */
export interface HandedOverSsh {
  /** Null = there is none; the port is its own before it listens, too. */
  readonly listener: { readonly port: number } | null;
  /** Throws ControlError `failed` when the port cannot be had. Every device that was to come has come. */
  listen(): void;
  /** The ids of devices with clients here, or at a process before this one. */
  readonly devices: readonly string[];
  /** Lets another process of this relay listen at its port too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean;
  /** Another process is the relay: clients are taken in there, and their connections go on here. */
  give(): void;
  /** Processes before this one need it no more: what came by it has ended. */
  letGo(): void;
  /** No connection goes on here, and none of a process before this one passes here. */
  readonly isEmpty: boolean;
  /** Connections go on. */
  stopListening(): void;
}
