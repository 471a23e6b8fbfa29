import { describe, expect, test } from "bun:test";
import { SEARCH_SAMPLES } from "../../../test/fixtures/igd/requests.ts";
import { parseCidr } from "../../wire/address.ts";
import { identityOf } from "./identity.ts";
import { newInside } from "./inside.ts";
import { type Announcing, SsdpAnswers } from "./ssdp-answers.ts";

const OWN = "192.168.77.1";
const HOST = "192.168.77.2";
const { uuids } = identityOf("a seed");
const announcing: Announcing = {
  uuids,
  highest: 2,
  serverName: "S/1",
  bootId: 7,
  configId: 9,
  location: (address) => `http://${address}:5000/x/rootDesc.xml`,
  random: () => 0.5,
};

const search = (target: string, ...headers: readonly string[]): Uint8Array =>
  Buffer.from(["M-SEARCH * HTTP/1.1", 'MAN: "ssdp:discover"', `ST: ${target}`, ...headers, "", ""].join("\r\n"));

const header = (datagram: Uint8Array, name: string): string | undefined =>
  new RegExp(`^${name}: ?(.*)\r$`, "m").exec(Buffer.from(datagram).toString())?.[1];

function ask(datagram: Uint8Array, multicast = false, over: Partial<Announcing> = {}) {
  return new SsdpAnswers({ ...announcing, ...over }, 0).answer(datagram, HOST, OWN, multicast, 0);
}
const targets = (datagram: Uint8Array, over: Partial<Announcing> = {}): (string | undefined)[] =>
  ask(datagram, false, over)?.datagrams.map((one) => header(one, "ST")) ?? [];

const urn = (kind: string, name: string): string => `urn:schemas-upnp-org:${kind}:${name}`;
const device = (name: string): string => urn("device", name);
const service = (name: string): string => urn("service", name);

describe("a search", () => {
  const table: readonly (readonly [name: string, target: string, answers: readonly string[]])[] = [
    ["for a root device", "upnp:rootdevice", ["upnp:rootdevice"]],
    ["for a device of ours", `uuid:${uuids.wan}`, [`uuid:${uuids.wan}`]],
    ["for it in capitals", `uuid:${uuids.wan.toUpperCase()}`, [`uuid:${uuids.wan}`]],
    ["for another's", "uuid:00000000-0000-0000-0000-000000000000", []],
    ["for version 1, which is mirrored", device("InternetGatewayDevice:1"), [device("InternetGatewayDevice:1")]],
    ["for version 2", device("InternetGatewayDevice:2"), [device("InternetGatewayDevice:2")]],
    ["for version 3", device("InternetGatewayDevice:3"), []],
    ["for a service", service("WANIPConnection:2"), [service("WANIPConnection:2")]],
    ["for a service without a version 2", service("WANCommonInterfaceConfig:2"), []],
    ["for a service as a device", device("WANIPConnection:1"), []],
    ["for PPP, which this is not", service("WANPPPConnection:1"), []],
    ["for a television", "urn:dial-multiscreen-org:service:dial:1", []],
  ];
  test.each(table)("%s", (_name, target, answers) => {
    expect(targets(search(target))).toEqual([...answers]);
  });

  test("for everything", () => {
    expect(targets(search("ssdp:all"))).toEqual([
      "upnp:rootdevice",
      `uuid:${uuids.root}`,
      device("InternetGatewayDevice:2"),
      service("Layer3Forwarding:1"),
      `uuid:${uuids.wan}`,
      device("WANDevice:2"),
      service("WANCommonInterfaceConfig:1"),
      `uuid:${uuids.wanConnection}`,
      device("WANConnectionDevice:2"),
      service("WANIPConnection:2"),
      service("WANIPv6FirewallControl:1"),
    ]);
  });

  test.each([
    ["a client of version 1", search("ssdp:all", "USER-AGENT: Microsoft-Windows/10.0 UPnP/1.0"), {}],
    ["a gateway of version 1", search("ssdp:all"), { highest: 1 as const }],
  ])("for everything, of %s", (_name, datagram, over) => {
    const found = targets(datagram, over);
    expect(found).toHaveLength(10);
    expect(found.join()).not.toMatch(/:2|IPv6/);
  });

  test.each(SEARCH_SAMPLES.map(({ name, datagram }) => [name, datagram] as const))("of %s", (name, datagram) => {
    const answer = ask(Buffer.from(datagram), true);
    expect(answer?.datagrams.length ?? 0).toBe(name === "Chromium" ? 0 : 1);
  });

  test("says where the description is, for who asked, and what the standard wants", () => {
    const [datagram] = ask(search("upnp:rootdevice"))?.datagrams ?? [];
    expect(Buffer.from(datagram!).toString()).toBe(
      "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\nLOCATION: http://192.168.77.1:5000/x/rootDesc.xml\r\n" +
        `SERVER: S/1\r\nST: upnp:rootdevice\r\nUSN: uuid:${uuids.root}::upnp:rootdevice\r\n` +
        "BOOTID.UPNP.ORG: 7\r\nCONFIGID.UPNP.ORG: 9\r\n\r\n",
    );
  });
});

describe("when it answers", () => {
  const table: readonly (readonly [
    name: string,
    multicast: boolean,
    mx: string | null,
    random: number,
    delay: unknown,
  ])[] = [
    ["a multicast one waits for its share of MX", true, "MX: 2", 0.5, 800],
    ["of 5 s at most", true, "MX: 120", 0.999, 3996],
    ["MX of 0", true, "MX: 0", 0.5, 0],
    ["a multicast one without MX is none", true, null, 0.5, null],
    ["a unicast one is answered at once", false, null, 0.5, 0],
    ["with MX too", false, "MX: 5", 0.5, 0],
  ];
  test.each(table)("%s", (_name, multicast, mx, random, delay) => {
    const datagram = search("upnp:rootdevice", ...(mx === null ? [] : [mx]));
    expect(ask(datagram, multicast, { random: () => random })?.delayMs ?? null).toEqual(delay as never);
  });
});

describe("limits", () => {
  const everything = search("ssdp:all");

  test("one source gets ten answers at once, then five a second, and others theirs", () => {
    const answers = new SsdpAnswers(announcing, 0);
    const count = (from: string, nowMs: number, tries = 100): number =>
      Array.from({ length: tries }, () => answers.answer(everything, from, OWN, false, nowMs)).filter(Boolean).length;
    expect(count(HOST, 0)).toBe(10);
    expect(count(HOST, 0)).toBe(0);
    expect(count("192.168.77.3", 0)).toBe(10);
    expect(count(HOST, 1000)).toBe(5);
  });

  test("all sources together get 800 datagrams at once, then 400 a second", () => {
    const answers = new SsdpAnswers(announcing, 0);
    const count = (nowMs: number): number => {
      let datagrams = 0;
      for (let host = 0; host < 5000; host++) {
        const from = `10.0.${host >> 8}.${host & 255}`;
        datagrams += answers.answer(everything, from, OWN, false, nowMs)?.datagrams.length ?? 0;
      }
      return datagrams;
    };
    expect(count(0)).toBeWithin(790, 801);
    expect(count(1000)).toBeWithin(390, 411);
  });

  test("what is not for us costs nothing", () => {
    const answers = new SsdpAnswers(announcing, 0);
    for (let n = 0; n < 100; n++) answers.answer(search("urn:a:device:b:1"), HOST, OWN, false, 0);
    expect(answers.answer(everything, HOST, OWN, false, 0)).not.toBeNull();
  });

  test.each([
    ["a reply", "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n"],
    ["an announcement", "NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\n\r\n"],
    ["nothing", ""],
    ["too much", `M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\nST: ssdp:all\r\nX: ${"x".repeat(1500)}\r\n\r\n`],
    ["half", 'M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\nST: ssdp:all'],
  ])("no answer to %s", (_name, datagram) => {
    expect(ask(Buffer.from(datagram))).toBeNull();
  });
});

describe("announcements", () => {
  const answers = new SsdpAnswers(announcing, 0);
  test.each([
    ["alive", answers.alive("239.255.255.250:1900", OWN), "http://192.168.77.1:5000/x/rootDesc.xml"],
    ["byebye", answers.byebye("239.255.255.250:1900", OWN), undefined],
  ] as const)("%s: everything that is there", (kind, datagrams, location) => {
    expect(datagrams).toHaveLength(11);
    for (const datagram of datagrams) {
      expect(header(datagram, "NTS")).toBe(`ssdp:${kind}`);
      expect(header(datagram, "HOST")).toBe("239.255.255.250:1900");
      expect(header(datagram, "LOCATION")).toBe(location);
      expect(header(datagram, "BOOTID.UPNP.ORG")).toBe("7");
      expect(header(datagram, "CONFIGID.UPNP.ORG")).toBe("9");
    }
    expect(header(datagrams[2]!, "USN")).toBe(`uuid:${uuids.root}::${device("InternetGatewayDevice:2")}`);
  });
});

describe("an inside interface", () => {
  const networks = ["192.168.77.0/24", "10.0.0.0/8", "fd00:77::/64"].map((text) => {
    const network = parseCidr(text);
    if (!network.ok) throw new Error(text);
    return network.value;
  });
  const inside = newInside({ name: "lan1", addresses: ["192.168.77.1", "10.1.1.1", "fd00:77::1"], networks });
  test.each([
    ["192.168.77.2", true, "192.168.77.1"],
    ["10.9.9.9", true, "10.1.1.1"],
    ["fd00:77::2", true, null],
    ["192.168.78.2", false, null],
    ["203.0.113.10", false, null],
    ["::ffff:192.168.77.2", true, "192.168.77.1"],
    ["nonsense", false, null],
  ])("%s: a neighbour %p, of %p", (source, holds, own) => {
    expect(inside.holds(source)).toBe(holds);
    expect(inside.addressFor(source)).toBe(own);
  });
});
