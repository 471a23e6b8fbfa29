import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodePortListing, type PortListingEntry, renderPortListing } from "./port-listing.ts";
import { decodeSoapReply } from "./soap.ts";

const RECORDED = join(import.meta.dir, "../../../test/fixtures/igd/miniupnpd-2.3.1");
const ENTRY: PortListingEntry = {
  remoteHost: null,
  externalPort: 8080,
  protocol: "tcp",
  internalPort: 80,
  internalClient: "192.168.1.5",
  enabled: true,
  description: 'a<b & "c"',
  leaseSec: 60,
};

function recorded(name: string) {
  const bytes = readFileSync(join(RECORDED, `${name}.http`));
  const reply = decodeSoapReply("GetListOfPortMappings", bytes.subarray(bytes.indexOf("\r\n\r\n") + 4));
  if (!reply.ok || reply.value.kind !== "response") throw new Error("no listing");
  return decodePortListing(reply.value.outputs.get("NewPortListing") ?? "");
}

describe("a listing", () => {
  test.each([
    ["of nothing", []],
    ["of one", [ENTRY]],
    [
      "of more",
      [
        ENTRY,
        { ...ENTRY, remoteHost: "198.51.100.7", protocol: "udp", externalPort: 65_535, enabled: false, leaseSec: 0 },
      ],
    ],
  ] as const)("%s, and back", (_name, entries) => {
    expect(decodePortListing(renderPortListing(entries))).toEqual({ ok: true, value: [...entries] });
  });

  test("miniupnpd's: as CDATA, in no order", () => {
    const row = { remoteHost: null, protocol: "tcp", enabled: true, description: "Hatchway <web>" };
    expect(recorded("list")).toEqual({
      ok: true,
      value: [
        { ...row, externalPort: 8080, internalPort: 8090, internalClient: "192.168.77.2", leaseSec: 59 },
        { ...row, externalPort: 8081, internalPort: 8080, internalClient: "192.168.78.2", leaseSec: 3599 },
      ],
    } as never);
    expect(recorded("list-none")).toEqual({ ok: true, value: [] });
  });

  const row = (fields: string): string => `<l><PortMappingEntry>${fields}</PortMappingEntry></l>`;
  const least =
    "<NewExternalPort>1</NewExternalPort><NewInternalPort> 2\n</NewInternalPort><NewProtocol>tcp</NewProtocol>";
  const table: readonly (readonly [name: string, fields: string, expected: Partial<PortListingEntry> | null])[] = [
    ["the least there is", least, { externalPort: 1, internalPort: 2, internalClient: "", enabled: true, leaseSec: 0 }],
    ["a name for an address", `${least}<NewInternalClient>my\u0009pc</NewInternalClient>`, { internalClient: "my pc" }],
    [
      "an address to be written otherwise",
      `${least}<NewInternalClient> 192.168.1.5 </NewInternalClient>`,
      { internalClient: "192.168.1.5" },
    ],
    [
      "the other names",
      `${least}<NewPortMappingDescription>d</NewPortMappingDescription><NewLeaseDuration>9</NewLeaseDuration>`,
      { description: "d", leaseSec: 9 },
    ],
    ["a lease of no end", `${least}<NewLeaseTime>9999999999</NewLeaseTime>`, { leaseSec: 0xffff_ffff }],
    ["a lease that is none", `${least}<NewLeaseTime>-1</NewLeaseTime>`, { leaseSec: 0 }],
    ["off", `${least}<NewEnabled>False</NewEnabled>`, { enabled: false }],
    ["every remote host, in numbers", `${least}<NewRemoteHost>0.0.0.0</NewRemoteHost>`, { remoteHost: null }],
    ["no port", "<NewInternalPort>2</NewInternalPort><NewProtocol>tcp</NewProtocol>", null],
    ["a port that is none", least.replace(">1<", ">65536<"), null],
    ["no protocol", least.replace("tcp", "sctp"), null],
  ];
  test.each(table)("a row: %s", (_name, fields, expected) => {
    const decoded = decodePortListing(row(fields));
    if (expected === null) expect(decoded).toEqual({ ok: true, value: [] });
    else expect(decoded).toMatchObject({ ok: true, value: [expected] });
  });

  test("rows are bounded", () => {
    const many = decodePortListing(`<l>${`<PortMappingEntry>${least}</PortMappingEntry>`.repeat(1001)}</l>`);
    expect(many.ok && many.value.length).toBe(1000);
  });

  test("cut at every byte it is an error", () => {
    const whole = renderPortListing([ENTRY]);
    for (let length = 0; length < whole.length; length++)
      expect(decodePortListing(whole.slice(0, length)).ok).toBe(false);
  });
});
