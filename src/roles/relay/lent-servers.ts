export interface ServerPorts {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

/** What a relay serves beside forwards, sites and SSH: console, check page, metrics, STUN. Another process takes their place. */
export interface LentServers {
  readonly openPorts: ServerPorts;
  /** Lets another process listen at these ports too, or no more. False: this system cannot. */
  setShared(shared: boolean): boolean;
  /** The other listens there: event streams end, in order, and connections that wait for a request are closed. */
  leave(): void;
  /** Listens no more. Resolves when all that is under way has ended. */
  retire(): Promise<void>;
  /** Ends what is under way, too, and frees the ports. */
  close(): Promise<void>;
}

export function together(parts: readonly LentServers[]): LentServers {
  const ports = (protocol: keyof ServerPorts) => parts.flatMap(({ openPorts }) => openPorts[protocol]);
  const all = async (end: (part: LentServers) => Promise<void>) => {
    await Promise.all(parts.map(end));
  };
  return {
    get openPorts() {
      return { tcp: ports("tcp"), udp: ports("udp") };
    },
    setShared: (shared) => parts.every((part) => part.setShared(shared)),
    leave() {
      for (const part of parts) part.leave();
    },
    retire: () => all((part) => part.retire()),
    close: () => all((part) => part.close()),
  };
}
