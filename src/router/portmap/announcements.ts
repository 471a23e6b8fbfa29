import { createSocket, type Socket } from "node:dgram";
import type { Gateway } from "../../core/router/model.ts";
import { decodeAnswer, isAnnouncement } from "../../core/router/portmap-talk.ts";
import { messageOf } from "../../os/errors.ts";
import { zoneOf } from "../../os/interfaces.ts";
import type { Ignored } from "./ignored.ts";
import { withoutZone } from "./socket.ts";

export interface AnnouncementOptions {
  readonly gateway: Gateway;
  readonly port: number;
  readonly ignored: Ignored;
  /** The router says that its state is new. Anyone on the link could say so in its name. */
  readonly onAnnouncement: () => void;
  /** Announcements are not heard, or not any more: one sentence. Everything else goes on. */
  readonly onDeaf: (message: string) => void;
}

/** RFC 6886 §3.2.1, RFC 6887 §14.1: all hosts of the link. */
const ALL_HOSTS = { 4: "224.0.0.1", 6: "ff02::1" } as const;

/** Hears what the router announces to all hosts of the link, until `close`. */
export class Announcements {
  readonly #options: AnnouncementOptions;
  readonly #socket: Socket;
  #closed = false;

  constructor(options: AnnouncementOptions) {
    const { gateway, port } = options;
    this.#options = options;
    // Other programs that map ports have it as well, and a server of this machine's.
    this.#socket =
      gateway.family === 6
        ? createSocket({ type: "udp6", reuseAddr: true, ipv6Only: true })
        : createSocket({ type: "udp4", reuseAddr: true });
    this.#socket.on("error", (error) => this.#deaf(error));
    this.#socket.on("message", (datagram, { address }) => this.#hear(datagram, withoutZone(address)));
    this.#socket.bind({ port }, () => this.#join());
  }

  #join(): void {
    if (this.#closed) return;
    const { gateway } = this.#options;
    this.#socket.unref();
    try {
      const link = gateway.family === 6 ? `::%${zoneOf(gateway.interfaceName)}` : gateway.ownAddress;
      this.#socket.addMembership(ALL_HOSTS[gateway.family], link);
    } catch (error) {
      this.#deaf(error);
    }
  }

  #hear(datagram: Uint8Array, from: string): void {
    const { gateway, ignored, onAnnouncement } = this.#options;
    if (this.#closed) return;
    const answer = decodeAnswer(datagram);
    if (answer === null || !isAnnouncement(answer)) return;
    // A second router on the network announces itself as well; it is not the one that was asked.
    if (from === gateway.address) onAnnouncement();
    else ignored.note("other-announcement", from);
  }

  #deaf(error: unknown): void {
    if (this.#closed) return;
    this.close();
    const { gateway, port } = this.#options;
    this.#options.onDeaf(
      `What the router at ${gateway.address} announces is not heard on port ${port} (${messageOf(error)}); a restart of it is noticed at the next question.`,
    );
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}
