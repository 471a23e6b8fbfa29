import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  formatPortSet,
  mappingContains,
  type PortMapping,
  type PortSet,
  parsePortSet,
  settleProtocol,
} from "./port-set.ts";
import { renderTextError } from "./text-error.ts";

function set(text: string): PortSet {
  const parsed = parsePortSet(text);
  if (!parsed.ok) throw new Error(renderTextError(text, parsed.error));
  return parsed.value;
}

describe("parsePortSet and formatPortSet", () => {
  const table: [string, string][] = [
    ["8840", "8840"],
    ["8840, 8820", "8820, 8840"],
    ["8840 8820\n8830", "8820, 8830, 8840"],
    [" 8840 ,8820 ", "8820, 8840"],
    ["8810-8815", "8810-8815"],
    ["8810-8810", "8810"],
    ["80/tcp", "80/tcp"],
    ["80/TCP", "80/tcp"],
    ["1000-2000/udp", "1000-2000/udp"],
    ["53/tcp+udp", "53/tcp+udp"],
    ["53/udp+tcp", "53/tcp+udp"],
    ["53/udp, 53/tcp", "53/tcp+udp"],
    ["53/udp, 54/tcp", "53/udp, 54/tcp"],
    ["8000:80", "8000:80"],
    ["80:80", "80"],
    ["8000-8010:9000-9010", "8000-8010:9000-9010"],
    ["8000-8010:9000", "8000-8010:9000-9010"],
    ["8000-8010:9000/tcp", "8000-8010:9000-9010/tcp"],
    ["9000-9010:8000/tcp+udp", "9000-9010:8000-8010/tcp+udp"],
    ["80,81", "80-81"],
    ["82, 80, 81", "80-82"],
    ["8810-8815, 8812-8820", "8810-8820"],
    ["80, 80", "80"],
    ["8000-8001:9000, 8002:9002", "8000-8002:9000-9002"],
    ["8000:9000, 8001:9002", "8000:9000, 8001:9002"],
    ["80, 80/tcp", "80, 80/tcp"],
    ["80/tcp, 81/udp", "80/tcp, 81/udp"],
    ["80/tcp, 80:81/udp", "80/tcp, 80:81/udp"],
    ["1-65535", "1-65535"],
    ["1-65534:2", "1-65534:2-65535"],
  ];
  for (const [text, canonical] of table) {
    test(`${JSON.stringify(text)} prints ${canonical}`, () => {
      expect(formatPortSet(set(text))).toBe(canonical);
      expect(set(canonical)).toEqual(set(text));
    });
  }

  test("a thousand ports are one range", () => {
    expect(set("20000-20999").ranges).toEqual([{ protocol: null, first: 20000, last: 20999, internalFirst: 20000 }]);
    const listed = Array.from({ length: 1000 }, (_, index) => 20999 - index).join(",");
    expect(set(listed).ranges.length).toBe(1);
  });
});

describe("errors", () => {
  /** The text with the place in « ». */
  const table: [string, string, RegExp, string | undefined][] = [
    ["", "«»", /at least one port/, undefined],
    ["  ", "«  »", /at least one port/, undefined],
    ["8840, 8815-8810", "8840, «8815-8810»", /lower port first/, "8810-8815"],
    ["8815-8810/udp", "«8815-8810/udp»", /lower port first/, "8810-8815/udp"],
    ["80-90:99-89", "«80-90:99-89»", /lower port first/, "80-90:89-99"],
    ["80/tpc", "80/«tpc»", /tcp, udp or tcp\+udp/, "80/tcp"],
    ["80/tc", "80/«tc»", /tcp, udp or tcp\+udp/, "80/tcp"],
    ["80-90/uddp", "80-90/«uddp»", /tcp, udp or tcp\+udp/, "80-90/udp"],
    ["80/both", "80/«both»", /tcp, udp or tcp\+udp/, "80/tcp+udp"],
    ["80/sctp", "80/«sctp»", /tcp, udp or tcp\+udp/, undefined],
    ["80/icmp", "80/«icmp»", /tcp, udp or tcp\+udp/, undefined],
    ["80tcp", "80«tcp»", /tcp, udp or tcp\+udp/, "80/tcp"],
    ["80:udp", "80:«udp»", /tcp, udp or tcp\+udp/, "80/udp"],
    ["80/", "80«/»", /after "\/"/, "80/tcp"],
    ["tcp/80", "«tcp»/80", /after the port/, "80/tcp"],
    ["UDP:80-90", "«UDP»:80-90", /after the port/, "80-90/udp"],
    ["80/tcp:8080", "80«/tcp»:8080", /once, at the end/, "80:8080/tcp"],
    ["80/tcp-90/tcp", "80«/tcp»-90/tcp", /once, at the end/, "80-90/tcp"],
    ["70000", "«70000»", /end at 65535/, undefined],
    ["60000-70000", "60000-«70000»", /end at 65535/, "60000-65535"],
    ["99999999999999999999", "«99999999999999999999»", /end at 65535/, undefined],
    ["80:70000", "80:«70000»", /end at 65535/, undefined],
    ["0", "«0»", /begin at 1/, undefined],
    ["0-10", "«0»-10", /begin at 1/, undefined],
    ["0080", "«0080»", /leading zeros/, "80"],
    ["80-0090", "80-«0090»", /leading zeros/, "80-90"],
    ["80;81", "80«;»81", /comma/, "80, 81"],
    ["80|81|82", "80«|»81|82", /comma/, "80, 81, 82"],
    ["8810–8815", "8810«–»8815", /hyphen/, "8810-8815"],
    ["8810—8815", "8810«—»8815", /hyphen/, "8810-8815"],
    ["8810..8815", "8810«..»8815", /hyphen/, "8810-8815"],
    ["8810 - 8815", "«8810 - 8815»", /without spaces/, "8810-8815"],
    ["22 8810- 8815", "22 «8810- 8815»", /without spaces/, "8810-8815"],
    ["22 8810 -8815", "22 «8810 -8815»", /without spaces/, "8810-8815"],
    ["80 /tcp", "«80 /tcp»", /without spaces/, "80/tcp"],
    ["8810-", "«8810-»", /is not a port/, undefined],
    ["-8815", "«-8815»", /is not a port/, undefined],
    ["- -", "«-» -", /is not a port/, undefined],
    ["80,,81", "80,«,»81", /extra comma/, undefined],
    [",80", "«,»80", /extra comma/, undefined],
    ["80, ", "80«,» ", /extra comma/, undefined],
    ["all", "«all»", /as a range/, "1-65535"],
    ["22, http", "22, «http»", /is not a port/, undefined],
    ["+80", "«+80»", /is not a port/, undefined],
    ["0x50", "«0x50»", /is not a port/, undefined],
    ["٨٠", "«٨٠»", /is not a port/, undefined],
    ["8000-8010:9000-9020", "«8000-8010:9000-9020»", /same number/, "8000-8010:9000-9010"],
    ["8000:9000-9010", "«8000:9000-9010»", /same number/, undefined],
    ["8000-8010:65530", "«8000-8010:65530»", /would end at 65540/, undefined],
    ["80:8080, 80:8081", "80:8080, «80:8081»", /Port 80 is mapped to both 8080 and 8081/, undefined],
    ["80, 80:8081/tcp", "80, «80:8081/tcp»", /Port 80 is mapped to both 80 and 8081/, undefined],
    ["50:51, 1-100", "50:51, «1-100»", /Port 50 is mapped to both 51 and 50/, undefined],
    ["1-100, 2, 90:91", "1-100, 2, «90:91»", /Port 90 is mapped to both 90 and 91/, undefined],
  ];
  for (const [text, marked, message, suggestion] of table) {
    test(marked, () => {
      const parsed = parsePortSet(text);
      if (parsed.ok) throw new Error("was accepted");
      const { offset, length } = parsed.error;
      expect(`${text.slice(0, offset)}«${text.slice(offset, offset + length)}»${text.slice(offset + length)}`).toBe(
        marked,
      );
      expect(parsed.error.message).toMatch(message);
      expect(parsed.error.suggestion).toBe(suggestion);
      if (suggestion !== undefined) expect(parsePortSet(suggestion).ok).toBe(true);
    });
  }

  test("a text of any length is answered", () => {
    expect(parsePortSet("1,".repeat(100_000)).ok).toBe(false);
    expect(parsePortSet("1".repeat(16_000)).ok).toBe(false);
    expect(parsePortSet("-".repeat(16_000)).ok).toBe(false);
    expect(parsePortSet(`80${"t".repeat(16_000)}`).ok).toBe(false);
  });

  test("rendered with a caret line", () => {
    const text = "8840, 8815-8810";
    const parsed = parsePortSet(text);
    if (parsed.ok) throw new Error("was accepted");
    expect(renderTextError(text, parsed.error).split("\n")).toEqual([
      "Write the lower port first.",
      "  8840, 8815-8810",
      "        ^^^^^^^^^",
      "Did you mean 8810-8815?",
    ]);
  });
});

function overlap(a: PortMapping, b: PortMapping): boolean {
  return a.protocol === b.protocol && a.first <= b.last && b.first <= a.last;
}

/** Ranges near each other, so that they often touch and overlap. */
const range = fc
  .record({
    protocol: fc.constantFrom("", "/tcp", "/udp", "/tcp+udp"),
    first: fc.integer({ min: 1, max: 60 }),
    more: fc.nat(8),
    internal: fc.constantFrom(0, 0, 0, 100, 200),
  })
  .map(({ protocol, first, more, internal }) => `${first}-${first + more}:${first + internal}${protocol}`);

describe("properties", () => {
  test("round trip, sorted, no overlap, the same ports in any order of the items", () => {
    fc.assert(
      fc.property(fc.array(range, { minLength: 1, maxLength: 6 }), (items) => {
        const parsed = parsePortSet(items.join(", "));
        const reversed = parsePortSet(items.toReversed().join(" "));
        expect(reversed.ok).toBe(parsed.ok);
        if (!parsed.ok || !reversed.ok) return;
        expect(reversed.value).toEqual(parsed.value);
        expect(set(formatPortSet(parsed.value))).toEqual(parsed.value);
        const mappings = settleProtocol(parsed.value, "tcp+udp");
        expect(formatPortSet({ ranges: mappings })).toBe(formatPortSet(set(formatPortSet({ ranges: mappings }))));
        for (const [index, mapping] of mappings.entries()) {
          for (const other of mappings.slice(index + 1)) expect(overlap(mapping, other)).toBe(false);
        }
        expect(mappings.length).toBeLessThanOrEqual(2 * items.length * 2);
      }),
      { numRuns: 1000 },
    );
  });

  test("never throws on any text, and the place lies in the text", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(fc.constantFrom(..."0159-:/,; tcpudp+–.*".split("")), { maxLength: 20 }).map((all) => all.join("")),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        const parsed = parsePortSet(candidate);
        if (parsed.ok) {
          expect(set(formatPortSet(parsed.value))).toEqual(parsed.value);
        } else {
          const { offset, length } = parsed.error;
          expect(offset >= 0 && length >= 0 && offset + length <= candidate.length).toBe(true);
          if (parsed.error.suggestion !== undefined) expect(parsed.error.suggestion).not.toBe("");
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe("settleProtocol", () => {
  const table: [string, "tcp" | "udp" | "tcp+udp", string][] = [
    ["80, 53/udp", "tcp", "53/udp, 80/tcp"],
    ["80", "udp", "80/udp"],
    ["80", "tcp+udp", "80/tcp+udp"],
    ["80, 80/tcp", "tcp", "80/tcp"],
    ["80, 80/tcp", "udp", "80/tcp+udp"],
    ["80-90, 91-95/tcp", "tcp", "80-95/tcp"],
    ["8000-8010:80", "tcp", "8000-8010:80-90/tcp"],
  ];
  for (const [text, protocol, settled] of table) {
    test(`${text} as ${protocol} is ${settled}`, () => {
      expect(formatPortSet({ ranges: settleProtocol(set(text), protocol) })).toBe(settled);
    });
  }
});

test("mappingContains gives the internal port", () => {
  const mappings = settleProtocol(set("8000-8010:9000, 53/udp"), "tcp");
  const asked: [PortMapping["protocol"], number][] = [
    ["tcp", 8000],
    ["tcp", 8010],
    ["tcp", 8011],
    ["udp", 8000],
    ["udp", 53],
    ["tcp", 53],
  ];
  expect(asked.map(([protocol, port]) => mappingContains(mappings, protocol, port))).toEqual([
    9000,
    9010,
    null,
    null,
    53,
    null,
  ]);
});
