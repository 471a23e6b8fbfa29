import { describe, expect, test } from "bun:test";
import jsQR from "jsqr";
import { clientConfig } from "../core/vpn/client-config.ts";
import { keyOf, onePeer, SETTINGS } from "../core/vpn/vpn.fixture.ts";
import { encodeClientConfig } from "../wire/wireguard/client-config.ts";
import { renderQr } from "./qr.ts";

const PIXELS_PER_MODULE = 4;
/** The longest that a usual one is: both families everywhere, a preshared key, a resolver and a long name. */
const CONFIG = encodeClientConfig(
  clientConfig(
    { ...SETTINGS, dns: ["10.77.0.1", "fd01:101:101:101::1"], endpointHost: "vpn.a-long-name-of-a-home.example.com" },
    onePeer({ presharedKey: keyOf(253) }),
    { privateKey: keyOf(251), serverPublicKey: keyOf(252) },
    { kind: "full", ownTable: false },
  ),
  "compact",
);

function rendered(text: string, options: Parameters<typeof renderQr>[1]): string {
  const result = renderQr(text, options);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

/** What a camera sees of a terminal: the colour of ink, and that of everything else. */
function read(screen: string, ink: "black" | "white"): string | null {
  const lines = Bun.stripANSI(screen).trimEnd().split("\n");
  const rows = lines.flatMap((line) => [
    [...line].map((character) => "█▀".includes(character)),
    [...line].map((character) => "█▄".includes(character)),
  ]);
  const [width, height] = [rows[0]!.length * PIXELS_PER_MODULE, rows.length * PIXELS_PER_MODULE];
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let at = 0; at < width * height; at++) {
    const row = rows[Math.floor(Math.floor(at / width) / PIXELS_PER_MODULE)];
    const inked = row?.[Math.floor((at % width) / PIXELS_PER_MODULE)] === true;
    pixels.set(inked === (ink === "black") ? [0, 0, 0, 255] : [255, 255, 255, 255], at * 4);
  }
  return jsQR(pixels, width, height)?.data ?? null;
}

describe("a QR code on a terminal", () => {
  test.each([
    ["a word", "hatchway"],
    ["a peer's whole file", CONFIG],
    ["text that is not ASCII", "Télé 电视"],
  ])("is read back: %s", (_what, text) => {
    expect(read(rendered(text, { color: true }), "black")).toBe(text);
    // Without colour, on a dark terminal and on a light one.
    expect(read(rendered(text, { color: false }), "white")).toBe(text);
    expect(read(rendered(text, { color: false }), "black")).toBe(text);
  });

  test("of a usual file fits 80 columns, with its quiet zone", () => {
    const lines = rendered(CONFIG, { color: false }).trimEnd().split("\n");
    const widths = new Set(lines.map((line) => line.length));
    expect(CONFIG.length).toBeGreaterThan(340);
    expect([...widths].every((width) => width <= 80)).toBe(true);
    expect(widths.size).toBe(1);
    for (const edge of [lines[0]!, lines[1]!]) expect(edge).toMatch(/^█+$/);
    for (const line of lines) expect(line).toMatch(/^█{4}.*█{4}$/);
  });

  test("says its own colours on every line", () => {
    for (const line of rendered("hatchway", { color: true }).trimEnd().split("\n")) {
      expect(line.startsWith("\u001b[38;5;16;48;5;231m")).toBe(true);
      expect(line.endsWith("\u001b[0m")).toBe(true);
    }
  });

  test.each([
    ["too wide", CONFIG, 60, "needs 77 columns and the terminal has 60"],
    ["far too long", "x".repeat(2_001), 80, "fits no terminal"],
  ])("that is %s is refused with a sentence", (_what, text, columns, words) => {
    const result = renderQr(text, { color: false, columns });
    expect(result.ok ? "" : result.error.message).toContain(words);
  });
});
