import { expect, test } from "bun:test";
import { join } from "node:path";
import { INITIAL_WINDOW_BYTES } from "../../core/tunnel/window.ts";
import { Reason } from "../reason.ts";
import { ALPN, EXPORTER_LABEL, TUNNEL_VERSION } from "./control.ts";
import { FrameType, HEADER_BYTES, MAX_DATA_BYTES, MAX_PAYLOAD } from "./frame.ts";
import { decodeOpen } from "./open.ts";

const document = await Bun.file(join(import.meta.dir, "../../../docs/tunnel-protocol.md")).text();
const upper = (name: string) => name.replace(/[A-Z]/g, "_$&").toUpperCase();

/** docs/tunnel-protocol.md says what the code does. */
for (const [name, code] of Object.entries(FrameType)) {
  test(`the document has frame ${name}`, () => expect(document).toContain(`\n| ${code} | ${upper(name)} |`));
}

for (const [name, code] of Object.entries(Reason)) {
  test(`the document has reason ${name}`, () => expect(document).toContain(`\n| ${code} | \`${name}\` |`));
}

const says: readonly string[] = [
  `version ${TUNNEL_VERSION}`,
  `\`${ALPN}\``,
  `\`${EXPORTER_LABEL}\``,
  `header of ${HEADER_BYTES} bytes`,
  `1–${MAX_DATA_BYTES.toLocaleString("en")} | bytes`,
  `1–${MAX_PAYLOAD.toLocaleString("en")} | one JSON`,
  `begins with ${INITIAL_WINDOW_BYTES.toLocaleString("en")} bytes of credit`,
];
for (const text of says) {
  test(`the document says "${text}"`, () => expect(document).toContain(text));
}

test("the document's example is an OPEN", () => {
  const line = /^01 000015 00000002 .*$/m.exec(document)?.[0].replaceAll(" ", "") ?? "";
  const bytes = new Uint8Array(Buffer.from(line, "hex"));
  expect(bytes.length).toBe(HEADER_BYTES + 0x15);
  expect(decodeOpen(bytes.subarray(HEADER_BYTES))).toEqual({
    ok: true,
    value: {
      kind: "forward",
      handle: 7,
      externalPort: 8840,
      visitor: { address: "192.0.2.7", port: 40_000 },
      entry: { address: "198.51.100.1", port: 8840 },
    },
  });
});
