import { createSocket, type Socket } from "node:dgram";
import type { Gateway } from "../../core/router/model.ts";
import { messageOf } from "../../os/errors.ts";
import { isIpv6, parseAddress } from "../../wire/address.ts";
import { SSDP_GROUP_V4 } from "../../wire/igd/ssdp.ts";
import { decodeNotification, type Notification } from "../../wire/igd/ssdp-notify.ts";
import type { Ignored } from "./ignored.ts";
import { SSDP_GROUP_V6 } from "./search.ts";

export interface AnnouncementOptions {
  readonly gateway: Gateway;
  readonly ssdpPort: number;
  readonly ignored: Ignored;
  readonly onNotification: (notification: Notification) => void;
  /** Announcements are not heard, or not any more: one sentence. Everything else goes on. */
  readonly onDeaf: (message: string) => void;
}

/** Hears what the router announces to the group, until `close`. */
export class Announcements {
  readonly #options: AnnouncementOptions;
  readonly #socket: Socket;
  #closed = false;

  constructor(options: AnnouncementOptions) {
    this.#options = options;
    const type = isIpv6(options.gateway.address) ? "udp6" : "udp4";
    // Media servers, and a gateway of this machine's, have the port as well.
    this.#socket = createSocket({ type, reuseAddr: true, ...(type === "udp6" ? { ipv6Only: true } : {}) });
    this.#socket.on("error", (error) => this.#deaf(error));
    this.#socket.on("message", (datagram, { address }) => this.#hear(datagram, address));
    this.#socket.bind({ port: options.ssdpPort, address: bindAddress(type) }, () => this.#join());
  }

  #join(): void {
    const { gateway } = this.#options;
    if (this.#closed) return;
    try {
      if (isIpv6(gateway.address)) this.#socket.addMembership(SSDP_GROUP_V6, `::%${gateway.interfaceName}`);
      else this.#socket.addMembership(SSDP_GROUP_V4, gateway.ownAddress);
    } catch (error) {
      this.#deaf(error);
    }
  }

  #deaf(error: unknown): void {
    if (this.#closed) return;
    this.close();
    const { gateway, ssdpPort } = this.#options;
    this.#options.onDeaf(
      `What the router at ${gateway.address} announces is not heard on port ${ssdpPort} (${messageOf(error)}); a restart of it is noticed at the next renewal.`,
    );
  }

  #hear(datagram: Uint8Array, sender: string): void {
    const { gateway, ignored, onNotification } = this.#options;
    const from = parseAddress(sender.split("%")[0] ?? "");
    if (this.#closed || !from.ok) return;
    // Searches of others come here as well: what is no announcement is nothing to count.
    const notification = decodeNotification(datagram);
    if (!notification.ok) return;
    if (from.value === gateway.address) onNotification(notification.value);
    // Every television announces itself; a gateway at another address is worth a word.
    else if (notification.value.target.includes(":InternetGatewayDevice:"))
      ignored.note("other-announcement", from.value);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}

/**
 * The group itself, so that what comes to this machine's own address stays with whom it is meant for: two sockets share
 * the port, and the last one would have it. Windows cannot bind to a group, and for IPv6 a group needs a zone.
 */
function bindAddress(type: "udp4" | "udp6"): string {
  if (type === "udp6") return "::";
  return process.platform === "win32" ? "0.0.0.0" : SSDP_GROUP_V4;
}
