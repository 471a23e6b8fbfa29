import { parseExitRule } from "../../core/exit-rule.ts";
import { parseVia } from "../../core/forward.ts";
import { parseCidr } from "../../wire/address.ts";
import { parseHostPort } from "../../wire/endpoint.ts";
import { parsePortSet } from "../../wire/port-set.ts";
import type { Result } from "../../wire/result.ts";
import type { TextError } from "../../wire/text-error.ts";
import { z } from "../../wire/zod.ts";

import { parseListen, parseTarget } from "./ports.ts";
import { parseBandwidth, parseDuration, parseRate } from "./units.ts";

/** What a `custom` issue of these fields carries, so that a report can put a caret under the place. */
export interface TextIssueParams {
  readonly text: string;
  readonly error: TextError;
}

export function parsed<T>(parse: (text: string) => Result<T, TextError>) {
  return (text: string, context: z.RefinementCtx<string>): T => {
    const result = parse(text);
    if (result.ok) return result.value;
    const params: TextIssueParams = { text, error: result.error };
    context.addIssue({ code: "custom", message: result.error.message, params: { ...params } });
    return z.NEVER;
  };
}

const text = (description: string) => z.string().meta({ description });
/** Ports are often one number; TOML has numbers. */
export const textOrPort = (description: string) =>
  z
    .union([z.string(), z.int().transform(String)], { error: () => 'must be a text, such as "8810-8815"' })
    .meta({ description });

const NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,62}$/u;
export const name = (description: string) =>
  z
    .string()
    .regex(NAME, { error: 'must be a name of 1 to 63 letters, digits, spaces, ".", "_" and "-"' })
    .meta({ description });
export const protocol = z
  .enum(["tcp", "udp", "tcp+udp"])
  .meta({ description: "For ports that do not say it themselves (80/udp)." });

export const portSet = textOrPort("A port set: 8080, 8810-8815, 53/udp, 8000:80 (outside:inside).").transform(
  parsed(parsePortSet),
);
export const asPorts = textOrPort('The outside ports, one for one, or "any" for free ones.').transform(
  (value, context) => (value === "any" ? ("any" as const) : parsed(parsePortSet)(value, context)),
);
export const listen = textOrPort("Where to listen: 8080, 127.0.0.1:8810-8815, *:80, [::1]:8080.").transform(
  parsed(parseListen),
);
export const target = text("Where to connect to: db:5432, 192.0.2.7, [2001:db8::7]:80.").transform(parsed(parseTarget));
export const hostPort = (description: string, defaultPort: number) =>
  text(description).transform(
    parsed((value) => parseHostPort(value, { defaultPort, defaultHost: "*", allowPortZero: true })),
  );
export const cidrs = z.array(text("A network or an address: 192.0.2.0/24, 2001:db8::7.").transform(parsed(parseCidr)));
/** Of everybody would be of any visitor: each could say to be anybody. */
export const balancers = z
  .array(
    text("A network or an address: 10.0.0.5, 192.0.2.0/28.")
      .transform(parsed(parseCidr))
      .refine((cidr) => !cidr.endsWith("/0"), { error: "must be load balancers of yours, not every address" }),
  )
  .max(256)
  .meta({
    description:
      "Load balancers before the relay: they must send PROXY protocol (v1, v2), and who connects is whom it names.",
  });
export const exitRules = z
  .array(z.string().transform(parsed(parseExitRule)))
  .meta({ description: "What this machine may connect to for others: 192.168.1.0/24, db:5432, *:443." });

export const duration = (description: string) =>
  text(`${description} 90s, 10m, 2h, 1d.`).transform(parsed(parseDuration));
/** A duration, or a word for "no end": null. */
export const durationOr = (word: string, description: string) =>
  text(`${description} 90s, 10m, 2h, 1d or "${word}".`).transform((value, context) =>
    value === word ? null : parsed(parseDuration)(value, context),
  );
export const bandwidth = text('Both directions together: "10 MB/s" (bytes) or "100 Mbit/s" (bits).').transform(
  parsed(parseBandwidth),
);
export const perSecond = z
  .union([z.number().positive(), z.string().transform(parsed(parseRate))], {
    error: () => 'must be a number above 0 (a second), or a rate such as "300/m"',
  })
  .meta({ description: "New connections a second from one source; bursts up to twice that." });

const healthCheckTable = z.strictObject({
  interval: duration("How often to try.").exactOptional(),
  timeout: duration("How long an answer may take.").exactOptional(),
  failures: z
    .int()
    .positive()
    .max(100)
    .meta({ description: "Failures in a row until it counts as down." })
    .exactOptional(),
});
const HEALTH_DEFAULTS = { intervalSec: 10, timeoutSec: 3, failures: 3 };

/** true, an interval, or a table. */
export const healthCheck = z
  .union([z.boolean(), z.string().transform(parsed(parseDuration)), healthCheckTable], {
    error: () => 'must be true, an interval such as "10s", or { interval = "10s", timeout = "3s", failures = 3 }',
  })
  .transform((value) => {
    if (value === false) return null;
    if (value === true) return HEALTH_DEFAULTS;
    if (typeof value === "number") return { ...HEALTH_DEFAULTS, intervalSec: value };
    return {
      intervalSec: value.interval ?? HEALTH_DEFAULTS.intervalSec,
      timeoutSec: value.timeout ?? HEALTH_DEFAULTS.timeoutSec,
      failures: value.failures ?? HEALTH_DEFAULTS.failures,
    };
  })
  .meta({ description: "Connect to the TCP service now and then; visitors are refused while it is down." });

/** `relay`, `agent:NAME`. */
export const via = text('Where the traffic leaves: "relay" or "agent:NAME"; left out = this machine.').transform(
  (value, context) => {
    const parsed = parseVia(value);
    if (parsed !== null) return parsed;
    context.addIssue({
      code: "custom",
      message: 'must be "relay" or "agent:NAME"; leave it out to connect from this machine',
    });
    return z.NEVER;
  },
);
