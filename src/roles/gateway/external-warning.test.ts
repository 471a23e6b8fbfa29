import { expect, test } from "bun:test";
import { externalWarning } from "./external-warning.ts";

test.each([
  ["public", "198.41.0.4", null],
  ["none", null, "no IPv4 address"],
  ["CGNAT", "100.64.3.4", "forwards only work from inside the provider's network"],
  ["CGNAT's end", "100.127.255.255", "forwards only work from inside the provider's network"],
  ["beside CGNAT", "100.128.0.1", null],
  ["private", "192.168.1.2", "a private one: forwards only work from that network"],
  ["an example's", "203.0.113.20", null],
  ["link-local", "169.254.3.4", "does not route"],
])("%s", (_, address, part) => {
  const warning = externalWarning(address);
  if (part === null) expect(warning).toBeNull();
  else expect(warning).toContain(part);
});
