import { describe, expect, test } from "bun:test";
import { MapEntry, mapSpec } from "./map.ts";
import { problemsOf, renderProblem } from "./problem.ts";

/** What the TOML of one table comes to, or what is wrong with it. */
function read(toml: string): unknown {
  const raw: unknown = Bun.TOML.parse(toml);
  const parsed = MapEntry.safeParse(raw);
  if (!parsed.success) {
    return problemsOf(parsed.error.issues, raw, () => Object.keys(MapEntry.shape)).map((one) =>
      renderProblem(`"${one.path.join(".")}"`, one),
    )[0];
  }
  const made = mapSpec(parsed.data);
  return made.ok ? made.value : renderProblem(`"${made.error.path.join(".")}"`, made.error);
}

describe("[[map]]", () => {
  test("a port, with the defaults", () => {
    expect(read("ports = 25565")).toMatchObject({
      kind: "upstream",
      upstream: {
        name: "25565/tcp",
        ports: [{ protocol: "tcp", first: 25_565, last: 25_565, internalFirst: 25_565 }],
        to: null,
        families: "both",
        only: null,
        gateway: null,
        samePort: false,
        lifetimeSec: 3_600,
        enabled: true,
      },
    });
  });

  test("everything", () => {
    const all = `name = "cam"\nports = "8443:443, 9000-9002/udp"\nto = "192.168.1.20"\nprotocol = "tcp"\nprotocol-only = "igd"
      family = "ipv4"\nrouter = "192.168.1.1"\nsame-port = true\nlifetime = "10m"\nenabled = false`;
    expect(read(all)).toEqual({
      kind: "upstream",
      upstream: {
        id: "map/cam",
        name: "cam",
        ports: [
          { protocol: "tcp", first: 8_443, last: 8_443, internalFirst: 443 },
          { protocol: "udp", first: 9_000, last: 9_002, internalFirst: 9_000 },
        ],
        to: "192.168.1.20",
        families: "ipv4",
        only: "igd",
        gateway: "192.168.1.1",
        samePort: true,
        lifetimeSec: 600,
        enabled: false,
      },
    });
  });

  test("any outside port", () => {
    expect(read('ports = 80\nas = "any"')).toMatchObject({
      upstream: { ports: [{ first: 0, last: 0, internalFirst: 80 }] },
    });
  });

  test("the same ports to two hosts are two mappings", () => {
    const idOf = (toml: string) => (read(toml) as { upstream: { id: string } }).upstream.id;
    expect(idOf('ports = 80\nto = "10.0.0.2"')).not.toBe(idOf('ports = 80\nto = "10.0.0.3"'));
  });

  test.each([
    [
      "a host name",
      'ports = 80\nto = "nas"',
      '"to": "nas" is not an IP address; write one like 192.0.2.7 or 2001:db8::7.',
    ],
    ["no lease", 'ports = 80\nlifetime = "5s"', '"lifetime" must be from 30s to 7d: it is renewed while it is wanted'],
    ["a month", 'ports = 80\nlifetime = "30d"', '"lifetime" must be from 30s to 7d: it is renewed while it is wanted'],
    [
      "no such protocol",
      'ports = 80\nprotocol-only = "upnp"',
      '"protocol-only" must be "pcp", "nat-pmp", "igd", "igd2" or "igd1"',
    ],
    ["too few outside ports", 'ports = "80-81"\nas = "90"', '"as"'],
  ])("%s is refused", (_what, toml, sentence) => {
    expect(read(toml)).toStartWith(sentence);
  });
});
