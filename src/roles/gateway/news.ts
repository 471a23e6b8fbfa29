import type { CloseReason, EventForward, ForwardChange } from "../../core/events.ts";
import type { HeldMapping } from "../../core/mapping/book.ts";
import { isPinhole } from "../../core/mapping/spec.ts";
import type { Logger } from "../../os/log.ts";
import type { EventsRequest, FollowedEvent } from "../control.ts";
import { type ForwardEvents, followEvents, forwardEvents } from "../events.ts";
import { type Gluetun, startGluetun } from "../gluetun.ts";
import { type Hooks, startHooks } from "../hooks.ts";
import { keyOf } from "./entries.ts";
import type { MappingNews } from "./mappings.ts";
import type { GatewaySettings } from "./settings.ts";

export interface GatewayNewsOptions {
  readonly signal: AbortSignal;
  readonly log: Logger;
  wallMs(): number;
  /** What visitors type; null while there is no such address. */
  externalAddress(): string | null;
  /** Unix time; null = permanent. */
  endsMs(held: HeldMapping): number | null;
}

type Followers = Pick<GatewaySettings, "hooks" | "gluetun">;

/** Tells what happens to the mappings: to the log, to `hatchway events`, to hooks and to gluetun's scripts. */
export class GatewayNews {
  readonly #options: GatewayNewsOptions;
  readonly #events: ForwardEvents = forwardEvents();
  #hooks: Hooks | null = null;
  #gluetun: Gluetun | null = null;
  #unsubscribe: () => void = () => {};

  constructor(options: GatewayNewsOptions) {
    this.#options = options;
  }

  /** Rejects with ControlError `usage` when a key file or a port cannot be had; those of before go on then. */
  async follow({ hooks, gluetun }: Followers, vpnInterface: string): Promise<void> {
    const { signal } = this.#options;
    const { log, open } = this.#events;
    const started = await startHooks({ hooks, vpnInterface, signal });
    const replaces = this.#gluetun;
    try {
      this.#gluetun = gluetun === null ? null : await startGluetun({ settings: gluetun, open, replaces });
    } catch (error) {
      await started.stop();
      throw error;
    }
    if (gluetun === null) await replaces?.stop();
    const before = this.#hooks;
    this.#unsubscribe();
    this.#hooks = started;
    this.#unsubscribe = log.subscribe((event) => {
      started.publish(event);
      this.#gluetun?.changed();
    });
    await before?.stop();
  }

  tell({ event, held, reason }: MappingNews): void {
    const { name, to } = held.spec;
    this.#options.log.info("mapping {event}", { event, mapping: name, to, ...(reason === null ? {} : { reason }) });
    const forward = this.#forwardOf(held);
    if (event === "closed") this.#append({ event, forward, reason: reason ?? "removed" });
    else this.#append({ event, forward });
  }

  /** The program stops, and what the kernel holds with it. */
  closed(all: Iterable<HeldMapping>, reason: CloseReason): void {
    for (const held of all) this.#append({ event: "closed", forward: this.#forwardOf(held), reason });
  }

  events(request: EventsRequest, signal: AbortSignal): AsyncIterable<FollowedEvent> {
    return followEvents(this.#events.log, request, AbortSignal.any([signal, this.#options.signal]));
  }

  /** Waits a bounded time for what is on its way to hooks. */
  async stop(): Promise<void> {
    await this.#hooks?.stop();
    await this.#gluetun?.stop();
  }

  #append(change: ForwardChange): void {
    this.#events.log.append(change, this.#options.wallMs());
  }

  #forwardOf(held: HeldMapping): EventForward {
    const { spec } = held;
    const pinhole = isPinhole(spec);
    const host = pinhole ? spec.to : this.#options.externalAddress();
    return {
      id: keyOf(held),
      name: spec.name,
      type: pinhole ? "pinhole" : "mapping",
      origin: spec.origin,
      owner: spec.requester === null ? { kind: "host" } : { kind: "client", address: spec.requester },
      ports: spec.ports,
      externalHosts: host === null ? [] : [host],
      to: spec.to,
      lifetimeSec: spec.lifetimeSec,
      expiresMs: this.#options.endsMs(held),
    };
  }
}
