import { isIpv6, parseAddress } from "../address.ts";
import { type DefaultRoute, defaultMetric, readRoutes } from "./route.ts";

const NUMBER = /^\d{1,9}$/;
/** Destination, mask, gateway, interface, metric. */
const FEWEST_FIELDS = 5;
const MASK_BITS: Readonly<Record<string, number>> = { "0.0.0.0": 0, "128.0.0.0": 1 };

/**
 * The default routes of Windows' `route print -4`: destination, mask, gateway, the interface's own address, metric. For a
 * network of its own it says "On-link" in its language, in one word or two ("Auf Verbindung"): so a line is read from
 * both ends. Persistent routes, below, have no interface: those in force are above.
 */
export function decodeWindowsRoutes4(text: string): DefaultRoute[] {
  return readRoutes(text, (line) => {
    const fields = line.split(/\s+/);
    if (fields.length < FEWEST_FIELDS) return null;
    const [destination = "", mask = ""] = fields;
    const [own = "", metricText = ""] = fields.slice(-2);
    const bits = MASK_BITS[mask];
    const address = parseAddress(own);
    if (bits === undefined || !address.ok || isIpv6(address.value) || !NUMBER.test(metricText)) return null;
    const metric = defaultMetric(4, destination, bits, Number(metricText));
    if (metric === null) return null;
    const gateway = fields.length === FEWEST_FIELDS ? addressOf(fields[2] ?? "", 4) : null;
    return { family: 4, gateway, interface: { kind: "address", address: address.value }, metric };
  });
}

/** The default routes of `route print -6`: the interface's number, metric, destination, gateway. */
export function decodeWindowsRoutes6(text: string): DefaultRoute[] {
  return readRoutes(text, (line) => {
    const [index = "", metricText = "", destination = "", gateway = ""] = line.split(/\s+/);
    const [network = "", length = ""] = destination.split("/");
    if (!NUMBER.test(index) || !NUMBER.test(metricText) || !NUMBER.test(length)) return null;
    // Persistent routes come again below, without an interface.
    if (Number(index) === 0) return null;
    const parsed = parseAddress(network);
    const metric = parsed.ok ? defaultMetric(6, parsed.value, Number(length), Number(metricText)) : null;
    if (metric === null) return null;
    return {
      family: 6,
      gateway: addressOf(gateway, 6),
      interface: { kind: "index", index: Number(index) },
      metric,
    };
  });
}

function addressOf(text: string, family: 4 | 6): string | null {
  const parsed = parseAddress(text.split("%")[0] ?? "");
  return parsed.ok && isIpv6(parsed.value) === (family === 6) ? parsed.value : null;
}
