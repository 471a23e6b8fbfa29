import { expect, test } from "bun:test";
import { PortIndex } from "./port-index.ts";

function index(): PortIndex<string> {
  const made = new PortIndex<string>();
  made.add("tcp", [{ first: 80, last: 90 }], "web");
  made.add(
    "tcp",
    [
      { first: 10, last: 20 },
      { first: 100, last: 100 },
    ],
    "mixed",
  );
  made.add("tcp", [{ first: 80, last: 90 }], "web2");
  return made;
}

test("finds holders at the edges of a run and nobody between runs", () => {
  const holders = (port: number): readonly string[] => index().at("tcp", port);
  expect([9, 10, 20, 21].map(holders)).toEqual([[], ["mixed"], ["mixed"], []]);
  expect([79, 80, 90, 91].map(holders)).toEqual([[], ["web", "web2"], ["web", "web2"], []]);
  expect(index().at("udp", 80)).toEqual([]);
});

test("lists the slots that share a port with a run, ascending", () => {
  const firsts = (first: number, last: number): number[] =>
    [...index().overlapping("tcp", { first, last })].map((slot) => slot.first);
  expect(firsts(20, 100)).toEqual([10, 80, 100]);
  expect(firsts(21, 79)).toEqual([]);
  expect(firsts(85, 86)).toEqual([80]);
});

test("a slot stays until its last holder is deleted; what was never added is no matter", () => {
  const made = index();
  made.delete("tcp", [{ first: 80, last: 90 }], "web");
  expect(made.at("tcp", 85)).toEqual(["web2"]);
  made.delete("tcp", [{ first: 80, last: 90 }], "web2");
  expect(made.at("tcp", 85)).toEqual([]);
  made.delete("tcp", [{ first: 50, last: 60 }], "web");
  expect(made.at("tcp", 100)).toEqual(["mixed"]);
});
