import type { ForwardEvent } from "../core/events.ts";
import { Slots } from "../core/slots.ts";
import { nowMs } from "../os/clock.ts";
import { areaLogger, type Logger } from "../os/log.ts";
import { after } from "../os/timers.ts";
import { ControlError } from "../servers/local/control.ts";
import type { Deliver, DeliveryTools } from "./hooks/deliver.ts";
import { readKeyFile } from "./hooks/key-file.ts";
import { programDelivery } from "./hooks/program.ts";
import { HookRunner } from "./hooks/runner.ts";
import type { HookSettings } from "./hooks/settings.ts";
import { webhookDelivery } from "./hooks/webhook.ts";

/** Programs of all hooks together. */
const PROGRAMS_AT_ONCE = 4;
/** How long a stop waits for the events that are on their way. */
const DRAIN_MS = 5_000;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface Hooks {
  /** Returns at once and never throws, whatever the hooks do. */
  publish(event: ForwardEvent): void;
  /** No more events; waits a bounded time for those that were published, then ends what runs. */
  stop(): Promise<void>;
}

export interface HooksOptions {
  readonly hooks: readonly HookSettings[];
  /** The interface that the gateway's ports are on, for `{{VPN_INTERFACE}}`; empty or absent = none. */
  readonly vpnInterface?: string;
  /** Ends everything at once. */
  readonly signal: AbortSignal;
  readonly logger?: Logger;
  /** For tests. */
  readonly tools?: Partial<DeliveryTools>;
}

/** Rejects with ControlError `usage` when a key file is not as it should be: a webhook never goes out unsigned instead. */
export async function startHooks(options: HooksOptions): Promise<Hooks> {
  const logger = options.logger ?? areaLogger("hooks");
  const tools: DeliveryTools = {
    after,
    nowMs,
    random: Math.random,
    path: process.env["PATH"] ?? DEFAULT_PATH,
    vpnInterface: options.vpnInterface ?? "",
    ...options.tools,
  };
  const ended = new AbortController();
  const signal = AbortSignal.any([ended.signal, options.signal]);
  const slots = new Slots(PROGRAMS_AT_ONCE);
  const runners: HookRunner[] = [];
  for (const hook of options.hooks) {
    const deliver = await deliveryOf(hook, tools);
    runners.push(new HookRunner({ hook, deliver, slots: hook.kind === "program" ? slots : null, logger, signal }));
  }
  let stopping = false;
  return {
    publish(event) {
      if (!stopping) for (const runner of runners) runner.hear(event);
    },
    async stop() {
      stopping = true;
      const cancel = tools.after(DRAIN_MS, () => ended.abort());
      await Promise.all(runners.map((runner) => runner.idle()));
      cancel();
    },
  };
}

async function deliveryOf(hook: HookSettings, tools: DeliveryTools): Promise<Deliver> {
  switch (hook.kind) {
    case "program":
      return programDelivery(hook, tools);
    case "webhook": {
      const key = hook.keyFile === null ? null : await readKeyFile(hook.keyFile);
      if (key !== null && !key.ok) throw new ControlError("usage", `${hook.label}: ${key.error}`);
      return webhookDelivery(hook, key?.value ?? null, tools);
    }
    default:
      return hook satisfies never;
  }
}
