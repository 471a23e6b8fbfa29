import { expect, test } from "bun:test";
import type { ReasonName } from "../../wire/reason.ts";
import { refusalsBetween } from "./refusals.ts";

test.each<[string, Record<string, number>, Record<string, number>, ReasonName[]]>([
  ["nothing new", { idle: 3 }, { idle: 3 }, []],
  ["one more", { idle: 3 }, { idle: 4 }, ["idle"]],
  ["a first one", {}, { deviceAway: 1 }, ["deviceAway"]],
  ["counts that began again", { idle: 9 }, { idle: 1 }, ["idle"]],
  ["counts that went away", { idle: 9 }, {}, []],
])("%s", (_name, before, after, reasons) => {
  expect(refusalsBetween(before, after)).toEqual(reasons);
});
