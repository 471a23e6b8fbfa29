import { createHmac } from "node:crypto";
import { Backoff } from "../../core/backoff.ts";
import { type Delivery, judgeStatus, WEBHOOK_ATTEMPTS, WEBHOOK_BACKOFF } from "../../core/hooks.ts";
import { errorCode } from "../../os/errors.ts";
import type { After } from "../../os/timers.ts";
import { VERSION } from "../../os/version.ts";
import type { Deliver, DeliveryTools } from "./deliver.ts";
import type { WebHook } from "./settings.ts";

const MS_PER_SEC = 1_000;

/**
 * POSTs each event as JSON, again with growing pauses until it is taken, refused, or given up. Events behind it wait:
 * a receiver hears them in their order.
 */
export function webhookDelivery(hook: WebHook, key: string | null, tools: DeliveryTools): Deliver {
  const { after, nowMs, random } = tools;
  return async ({ event, missed }, report, signal) => {
    const body = JSON.stringify(event);
    const backoff = new Backoff(WEBHOOK_BACKOFF);
    for (let attempt = 1; ; attempt++) {
      const headers = {
        "content-type": "application/json",
        "user-agent": `hatchway/${VERSION}`,
        "hatchway-event-id": event.id,
        "hatchway-missed": `${missed}`,
        // The time of this try and not of the event: receivers refuse old signatures, so that none is used again.
        ...(key === null ? {} : { "hatchway-signature": signature(key, Math.floor(nowMs() / MS_PER_SEC), body) }),
      };
      const outcome = await post({ url: hook.url, headers, body, timeoutMs: hook.timeoutMs, after, signal });
      if (outcome.delivery === "taken") return true;
      if (signal.aborted) return false;
      report.failing(outcome.message);
      if (outcome.delivery === "refused" || attempt === WEBHOOK_ATTEMPTS) return false;
      await pause(backoff.failed(nowMs(), random()), after, signal);
      if (signal.aborted) return false;
    }
  };
}

/** `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`. */
export function signature(key: string, timeSec: number, body: string): string {
  return `t=${timeSec},v1=${createHmac("sha256", key).update(`${timeSec}.${body}`).digest("hex")}`;
}

interface Post {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly timeoutMs: number;
  readonly after: After;
  readonly signal: AbortSignal;
}

interface Outcome {
  readonly delivery: Delivery;
  readonly message: string;
}

async function post({ url, headers, body, timeoutMs, after, signal }: Post): Promise<Outcome> {
  const ended = new AbortController();
  let late = false;
  const cancel = after(timeoutMs, () => {
    late = true;
    ended.abort();
  });
  const onAbort = () => ended.abort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      // Events are rare: a connection kept from the last one would mostly be one that the receiver closed meanwhile.
      keepalive: false,
      signal: ended.signal,
    });
    // The status is the whole answer. What comes behind it is not read, however long it is.
    await response.body?.cancel();
    return { delivery: judgeStatus(response.status), message: `The receiver answered with status ${response.status}.` };
  } catch (error) {
    if (late) {
      return { delivery: "again", message: `The receiver did not answer within ${timeoutMs / MS_PER_SEC} s.` };
    }
    // Bun's own sentence may hold the URL; its code does not.
    const code = errorCode(error) ?? "no connection";
    return { delivery: "again", message: `The receiver was not reached (${code}).` };
  } finally {
    cancel();
    signal.removeEventListener("abort", onAbort);
  }
}

function pause(ms: number, after: After, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = after(ms, done);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
