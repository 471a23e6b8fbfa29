import { describe, expect, test } from "bun:test";
import { Preset as ApiPreset } from "../../servers/api/schema.ts";
import { parsePortSet } from "../../wire/port-set.ts";
import { portsOfRoles, presetPorts } from "./ports.ts";
import { as, both, PORT_ROLES, type Preset, RISKS, row, tcp, udp } from "./preset.ts";
import { PRESETS } from "./presets.ts";

/** The HTTP API's shape and ours are one: either fits where the other is asked for, or this file does not compile. */
const toApi = (preset: Preset): ApiPreset => preset;
const fromApi = (preset: ApiPreset): Preset => preset;

test("the shape is the API's", () => {
  expect(ApiPreset.shape.risk.options).toEqual([...RISKS]);
  expect(ApiPreset.shape.ports.unwrap().element.shape.role.options).toEqual([...PORT_ROLES]);
  for (const { aliases: _, ...preset } of PRESETS) expect(fromApi(ApiPreset.parse(toApi(preset)))).toEqual(preset);
});

describe("every preset", () => {
  test("has an id of its own, in kebab-case, that is no port", () => {
    const ids = PRESETS.map(({ id }) => id);
    expect(ids.filter((id) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id) || id.length > 40)).toEqual([]);
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
    expect(ids.filter((id) => parsePortSet(id).ok)).toEqual([]);
  });

  test("is there once: no two have the same name and variant", () => {
    const titles = PRESETS.map(({ name, variant }) => `${name} · ${variant}`);
    expect(titles.filter((title, at) => titles.indexOf(title) !== at)).toEqual([]);
  });

  test("has a variant where the name is shared", () => {
    const shared = PRESETS.filter(({ name }) => PRESETS.filter((other) => other.name === name).length > 1);
    expect(shared.filter(({ variant }) => variant === null).map(({ id }) => id)).toEqual([]);
  });

  test("has ports that parse, each a port or a range without protocol or inside", () => {
    const wrong = PRESETS.flatMap(({ id, ports }) =>
      ports
        .filter(({ ports: text }) => {
          const parsed = parsePortSet(text);
          if (!parsed.ok || parsed.value.ranges.length !== 1) return true;
          return !/^\d+(-\d+)?$/.test(text);
        })
        .map((port) => `${id}: ${port.ports}`),
    );
    expect(wrong).toEqual([]);
  });

  test("names no port twice", () => {
    const twice = PRESETS.filter(({ ports }) => {
      const runs = ports.map(({ protocol, ports: text }) => {
        const [first = 0, last = first] = text.split("-").map(Number);
        return { protocol, first, last };
      });
      return runs.some((a, at) =>
        runs.slice(at + 1).some((b) => a.protocol === b.protocol && a.first <= b.last && b.first <= a.last),
      );
    });
    expect(twice.map(({ id }) => id)).toEqual([]);
  });

  test("opens something exactly when a forward is needed", () => {
    const wrong = PRESETS.filter((preset) => preset.inboundNeeded !== (presetPorts(preset) !== ""));
    expect(wrong.map(({ id }) => id)).toEqual([]);
  });

  test("says where it was read, and when", () => {
    const wrong = PRESETS.filter(({ source, checked }) => {
      return (
        !URL.canParse(source) || new URL(source).protocol !== "https:" || !/^20\d\d-(0[1-9]|1[0-2])$/.test(checked)
      );
    });
    expect(wrong.map(({ id }) => id)).toEqual([]);
  });

  test("says in whole sentences what is dangerous, and why it needs no port", () => {
    const silent = PRESETS.filter(
      ({ risk, inboundNeeded, note }) => (risk !== "low" || !inboundNeeded) && note === null,
    );
    expect(silent.map(({ id }) => id)).toEqual([]);
    const ragged = PRESETS.filter(({ note }) => note !== null && !/^[A-Z0-9].*\.$/.test(note));
    expect(ragged.map(({ id }) => id)).toEqual([]);
  });

  test("tells of its ports for administrators", () => {
    const silent = PRESETS.filter(({ ports, note }) => ports.some(({ role }) => role === "admin") && note === null);
    expect(silent.map(({ id }) => id)).toEqual(["openttd"]);
  });
});

describe("what is opened", () => {
  const preset = row({
    id: "x",
    name: "X",
    ports: [
      both("9000"),
      tcp("9001"),
      as("optional", udp("9010-9011")),
      as("admin", tcp("9020")),
      as("lan-only", udp("9030")),
    ],
    source: "https://example.com/",
  });
  test.each([
    ["what is required", presetPorts(preset), "9000-9001/tcp, 9000/udp"],
    ["with what is optional", presetPorts(preset, { optional: true }), "9000-9001/tcp, 9000/udp, 9010-9011/udp"],
    ["never the administrator's", portsOfRoles(preset, ["admin"]), "9020/tcp"],
    ["nothing", portsOfRoles({ ...preset, ports: [] }, ["required"]), ""],
  ])("%s", (_name, ports, expected) => {
    expect(ports).toBe(expected);
  });

  test.each([
    ["minecraft-java", "25565/tcp"],
    ["minecraft-geyser", "19132/udp, 25565/tcp"],
    ["xbox", "88/udp, 3074/tcp+udp"],
    ["ftp", "21/tcp, 50000-50019/tcp"],
    ["rdp", "3389/tcp+udp"],
    ["satisfactory", "7777/tcp+udp, 8888/tcp"],
    ["source-engine", "27015/udp"],
    ["teamviewer", ""],
    ["nintendo-switch", ""],
  ])("%s: %p", (id, expected) => {
    expect(presetPorts(PRESETS.find((one) => one.id === id)!)).toBe(expected);
  });
});
