import { expect, test } from "bun:test";
import { PortMemory, type Remembered } from "./port-memory.ts";

const HOST = "10.0.0.7";
const OTHER = "10.0.0.8";

function mapping(client: string, external: number, internal = external): Remembered {
  return {
    ports: [{ protocol: "tcp", first: external, last: external, internalFirst: internal }],
    to: client,
    askedInternalPort: internal,
  };
}

test("a client keeps the 16 ports that ended last, whatever others keep", () => {
  const memory = new PortMemory();
  memory.keep(mapping(OTHER, 9000));
  for (let port = 8000; port < 8020; port++) memory.keep(mapping(HOST, port));
  // Had again, it is the youngest.
  memory.keep(mapping(HOST, 8004));
  memory.keep(mapping(HOST, 8020));
  const kept = Array.from({ length: 21 }, (_, nth) => 8000 + nth).filter(
    (port) => memory.keptFor("tcp", port) !== null,
  );
  expect(kept).toEqual([8004, ...Array.from({ length: 15 }, (_, nth) => 8006 + nth)]);
  expect(memory.keptFor("tcp", 9000)).toEqual({ client: OTHER, internalPort: 9000 });
  expect(memory.keptFor("udp", 9000)).toBeNull();
});

test("a port that another client had since is the other's, and counts for it alone", () => {
  const memory = new PortMemory();
  memory.keep(mapping(HOST, 8000));
  memory.keep(mapping(OTHER, 8000));
  expect([memory.isKept(mapping(HOST, 8000)), memory.isKept(mapping(OTHER, 8000))]).toEqual([false, true]);
  for (let port = 8001; port < 8017; port++) memory.keep(mapping(HOST, port));
  expect(memory.isKept(mapping(OTHER, 8000))).toBe(true);
});

test("the port that an internal one had last is known until it is forgotten", () => {
  const memory = new PortMemory();
  memory.remember(mapping(HOST, 7000, 80));
  memory.keep(mapping(HOST, 7001, 80));
  expect(memory.last("tcp", HOST, 80)).toBe(7001);
  memory.forget(mapping(HOST, 7001, 80));
  expect([memory.last("tcp", HOST, 80), memory.keptFor("tcp", 7001)]).toEqual([null, null]);
});
