import { expect, test } from "bun:test";
import type { Cidr } from "../wire/address.ts";
import { Admission } from "./admission.ts";
import { allowsSource } from "./source-rules.ts";

test.each<[allow: string[], deny: string[], address: string, isIn: boolean]>([
  [[], [], "192.0.2.7", true],
  [["192.0.2.0/24"], [], "192.0.2.7", true],
  [["192.0.2.0/24"], [], "198.51.100.7", false],
  [["192.0.2.0/24"], [], "2001:db8::7", false],
  [[], ["192.0.2.7/32"], "192.0.2.7", false],
  [["192.0.2.0/24"], ["192.0.2.7/32"], "192.0.2.7", false],
  [["192.0.2.0/24"], ["192.0.2.7/32"], "192.0.2.8", true],
])("allow %p, deny %p: %s %p, as Admission has it", (allow, deny, address, isIn) => {
  const source = { allow: allow as Cidr[], deny: deny as Cidr[] };
  expect(allowsSource(source, address)).toBe(isIn);
  expect(new Admission({ source, limits: {} }).admit(address, 0) === null).toBe(isIn);
});
