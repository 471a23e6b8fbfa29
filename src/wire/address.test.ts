import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import {
  addressBytes,
  addressFromBytes,
  type Cidr,
  classifyAddress,
  compileCidrs,
  parseAddress,
  parseCidr,
  sourceKey,
} from "./address.ts";

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

const v4Bytes = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Zeros are frequent, so that runs to compress are. */
const v6Bytes = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));
const anyBytes = fc.oneof(v4Bytes, v6Bytes);

describe("parseAddress", () => {
  const good: [string, string][] = [
    ["192.0.2.7", "192.0.2.7"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["1:2::7:8", "1:2::7:8"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["::FFFF:c000:207", "192.0.2.7"],
    ["0:0:0:0:0:ffff:192.0.2.7", "192.0.2.7"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:192.0.2.7", "1:2:3:4:5:6:c000:207"],
  ];
  for (const [text, canonical] of good) {
    test(`${text} is ${canonical}`, () => expect(parseAddress(text)).toEqual({ ok: true, value: canonical }));
  }

  const bad = [
    ..."|1|1.2.3|1.2.3.4.5|1.2.3.|.1.2.3|1..2.3|256.1.1.1|01.2.3.4|0x7f.0.0.1|1.2.3.4 | 1.2.3.4|a.b.c.d".split("|"),
    ...":|:::|1|1:2|1:2:3:4:5:6:7|1:2:3:4:5:6:7:8:9|1::2::3|::12345|::g|1:2:3:4:5:6:7:|:1:2:3:4:5:6:7:8".split("|"),
    ..."1:2:3:4:5:6:7:8::|::1.2.3|::1.2.3.4:5|1:2:3:4:5:6:7:1.2.3.4|[::1]|::1/128|1.2.3.4:80|example.com|١.٢.٣.٤".split(
      "|",
    ),
  ];
  for (const text of bad) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      const parsed = parseAddress(text);
      expect(parsed.ok).toBe(false);
    });
  }

  test("a zone id is refused, at its place", () => {
    expect(parseAddress("fe80::1%eth0")).toEqual({
      ok: false,
      error: { message: "Write the address without a zone id.", offset: 7, length: 5 },
    });
    expect(parseAddress("1.2.3.4%5").ok).toBe(false);
  });

  test("agrees with ipaddr.js on every address it writes", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const oracle = ipaddr.fromByteArray([...bytes]);
        const unmapped =
          oracle instanceof ipaddr.IPv6 && oracle.isIPv4MappedAddress() ? oracle.toIPv4Address() : oracle;
        for (const text of [oracle.toString(), oracle.toNormalizedString()]) {
          const parsed = parseAddress(text);
          expect(parsed).toEqual({ ok: true, value: unmapped.toString() });
        }
      }),
    );
  });

  test("never throws, and what it takes ipaddr.js takes", () => {
    const text = fc
      .array(fc.constantFrom(..."0123456789abcfF:.%/ ".split("")), { maxLength: 24 })
      .map((a) => a.join(""));
    fc.assert(
      fc.property(text, (candidate) => {
        const parsed = parseAddress(candidate);
        if (parsed.ok) expect(ipaddr.isValid(candidate)).toBe(true);
        else if (ipaddr.IPv4.isValidFourPartDecimal(candidate)) throw new Error(`refused ${candidate}`);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("address bytes", () => {
  test("round trip", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const text = addressFromBytes(bytes);
        const again = addressBytes(text ?? "");
        const mapped = bytes.length === 16 && again?.length === 4;
        expect([...(again ?? [])]).toEqual([...(mapped ? bytes.subarray(12) : bytes)]);
      }),
    );
  });
  test("a view into a larger buffer is read at its place", () => {
    const buffer = Uint8Array.from([9, 9, 192, 0, 2, 7, 9]);
    expect(addressFromBytes(buffer.subarray(2, 6))).toBe("192.0.2.7");
  });
  test("IPv4-mapped bytes are IPv4, and zones are left out", () => {
    expect(addressFromBytes(Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 7]))).toBe("192.0.2.7");
    expect([...(addressBytes("::ffff:192.0.2.7") ?? [])]).toEqual([192, 0, 2, 7]);
    expect(addressFromBytes(addressBytes("fe80::1%eth0") ?? new Uint8Array())).toBe("fe80::1");
  });
  test("other lengths and texts are null", () => {
    for (const length of [0, 1, 3, 5, 15, 17]) expect(addressFromBytes(new Uint8Array(length))).toBeNull();
    expect(addressBytes("example.com")).toBeNull();
  });
});

describe("parseCidr", () => {
  const good: [string, string][] = [
    ["192.0.2.0/24", "192.0.2.0/24"],
    ["192.0.2.77/24", "192.0.2.0/24"],
    ["192.0.2.7", "192.0.2.7/32"],
    ["192.0.2.255/31", "192.0.2.254/31"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["255.255.255.255/0", "0.0.0.0/0"],
    ["255.255.255.255/1", "128.0.0.0/1"],
    ["2001:db8::7", "2001:db8::7/128"],
    ["2001:db8:ffff::/33", "2001:db8:8000::/33"],
    ["2001:db8::ffff/64", "2001:db8::/64"],
    ["::/0", "::/0"],
    ["ffff::/0", "::/0"],
    ["::ffff:10.1.2.3/104", "10.0.0.0/8"],
    ["::ffff:10.1.2.3", "10.1.2.3/32"],
    ["::ffff:0:0/96", "0.0.0.0/0"],
  ];
  for (const [text, canonical] of good) {
    test(`${text} is ${canonical}`, () => expect(parseCidr(text)).toEqual({ ok: true, value: canonical as Cidr }));
  }

  const bad: [string, number, number][] = [
    ["192.0.2.0/33", 10, 2],
    ["192.0.2.0/", 9, 1],
    ["192.0.2.0/024", 10, 3],
    ["192.0.2.0/-1", 10, 2],
    ["192.0.2.0/8/8", 10, 3],
    ["2001:db8::/129", 11, 3],
    ["::ffff:10.0.0.0/8", 16, 1],
    ["fe80::%eth0/64", 6, 5],
    ["10/8", 0, 2],
    ["", 0, 0],
  ];
  for (const [text, offset, length] of bad) {
    test(`refuses ${text}, at ${offset}`, () => {
      expect(parseCidr(text)).toMatchObject({ ok: false, error: { offset, length } });
    });
  }

  test.each([
    ["hello", '"hello" is not a network or address; write one like 192.0.2.0/24 or 2001:db8::/32.'],
    ["hello/24", '"hello" is not a network or address; write one like 192.0.2.0/24 or 2001:db8::/32.'],
    ["fe80::%eth0/64", "Write the address without a zone id."],
  ])("%s: says what to write", (text, message) => {
    expect(parseCidr(text)).toMatchObject({ ok: false, error: { message } });
  });

  test("is idempotent", () => {
    fc.assert(
      fc.property(anyBytes, fc.nat(128), (bytes, prefix) => {
        const text = `${addressFromBytes(bytes)}`;
        const first = cidr(`${text}/${text.includes(":") ? prefix : prefix % 33}`);
        expect(cidr(first)).toBe(first);
      }),
    );
  });
});

describe("compileCidrs", () => {
  const set = compileCidrs(["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "2001:db8:1::/48"].map(cidr));
  const table: [string, boolean][] = [
    ["10.0.0.0", true],
    ["10.255.255.255", true],
    ["::ffff:10.1.2.3", true],
    ["9.255.255.255", false],
    ["11.0.0.0", false],
    ["192.0.2.7", true],
    ["192.0.2.8", false],
    ["2001:db8:ffff::1", true],
    ["2001:db8::1%eth0", true],
    ["2001:db9::", false],
    ["::1", false],
    ["", false],
    ["localhost", false],
  ];
  for (const [address, inside] of table) {
    test(`${address || "an empty text"}: ${inside}`, () => expect(set.contains(address)).toBe(inside));
  }
  test("an empty set holds nothing", () => {
    expect(compileCidrs([])).toMatchObject({ empty: true });
    expect(compileCidrs([]).contains("192.0.2.7")).toBe(false);
  });
  test("0.0.0.0/0 holds IPv4 only, ::/0 IPv6 only", () => {
    const v4 = compileCidrs([cidr("0.0.0.0/0")]);
    const v6 = compileCidrs([cidr("::/0")]);
    for (const address of ["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"]) {
      expect([v4.contains(address), v6.contains(address)]).toEqual([true, false]);
    }
    for (const address of ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]) {
      expect([v4.contains(address), v6.contains(address)]).toEqual([false, true]);
    }
  });
  test("agrees with ipaddr.js", () => {
    const network = fc.tuple(anyBytes, fc.nat(128));
    fc.assert(
      fc.property(fc.array(network, { maxLength: 6 }), anyBytes, fc.nat(130), (networks, bytes, near) => {
        const cidrs = networks.map(([base, prefix]) => {
          const text = `${addressFromBytes(base)}`;
          return cidr(`${text}/${text.includes(":") ? prefix : prefix % 33}`);
        });
        // Half of the look-ups are inside or next to a network: random ones hardly ever are.
        const base = networks[near % 2]?.[0] ?? bytes;
        const candidate = base.slice();
        const bit = near % (base.length * 8);
        candidate[bit >> 3] = (candidate[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
        const address = `${addressFromBytes(candidate)}`;
        const parsed = ipaddr.parse(address);
        const expected = cidrs.some((one) => {
          const [host, prefix] = ipaddr.parseCIDR(one);
          return host.kind() === parsed.kind() && parsed.match([host, prefix] as never);
        });
        expect(compileCidrs(cidrs).contains(address)).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });
});

describe("sourceKey", () => {
  const table: [string, string][] = [
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["fe80::1%eth0", "fe80::/64"],
    ["::1", "::/64"],
    ["?", "?"],
  ];
  for (const [address, key] of table) test(`${address}: ${key}`, () => expect(sourceKey(address)).toBe(key));
});

describe("classifyAddress", () => {
  const table: [string, ReturnType<typeof classifyAddress>][] = [
    ["8.8.8.8", "public"],
    ["1.0.0.0", "public"],
    ["223.255.255.255", "public"],
    ["2606:4700::1111", "public"],
    ["2001:200::1", "public"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.255", "loopback"],
    ["::1", "loopback"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["64:ff9b::127.0.0.1", "loopback"],
    ["2002:7f00:1::", "loopback"],
    ["::ffff:0:127.0.0.1", "loopback"],
    ["169.254.1.1", "link-local"],
    ["fe80::1", "link-local"],
    ["fe80::1%eth0", "link-local"],
    ["febf::1", "link-local"],
    ["10.0.0.1", "private"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["172.32.0.0", "public"],
    ["192.168.1.1", "private"],
    ["100.64.0.1", "private"],
    ["100.127.255.255", "private"],
    ["100.128.0.0", "public"],
    ["fc00::1", "private"],
    ["fdff::1", "private"],
    ["fec0::1", "private"],
    ["2002:a00:1::1", "private"],
    ["169.254.169.254", "metadata"],
    ["::ffff:169.254.169.254", "metadata"],
    ["64:ff9b::a9fe:a9fe", "metadata"],
    ["2002:a9fe:a9fe::", "metadata"],
    ["100.100.100.200", "metadata"],
    ["fd00:ec2::254", "metadata"],
    ["fd00:ec2::253", "private"],
    ["0.0.0.0", "unspecified"],
    ["::", "unspecified"],
    ["::ffff:0.0.0.0", "unspecified"],
    ["0.0.0.1", "reserved"],
    ["224.0.0.1", "multicast"],
    ["239.255.255.255", "multicast"],
    ["ff02::1", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "reserved"],
    ["192.0.2.1", "reserved"],
    ["198.19.255.255", "reserved"],
    ["::7f00:1", "reserved"],
    ["2001:db8::1", "reserved"],
    ["2001::1", "reserved"],
    ["3fff:fff::1", "reserved"],
    ["3fff:1000::1", "public"],
    ["64:ff9b:1::1", "reserved"],
    ["100::1", "reserved"],
    ["4000::1", "reserved"],
    ["64:ff9b::8.8.8.8", "public"],
    ["not an address", "reserved"],
  ];
  for (const [address, name] of table) test(`${address} is ${name}`, () => expect(classifyAddress(address)).toBe(name));
});
