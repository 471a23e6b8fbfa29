import { describe, expect, test } from "bun:test";
import { ACTIONS, type AccessRole, type AccessScope, type Action, mayDo, ROLES, SCOPES, seesAll } from "./rights.ts";

/** Each cell: may a person (P), a token with `all` (A), with `forwards` (F), with `read` (R). */
const TABLE: Record<Action, Record<AccessRole, string>> = {
  read: { admin: "PAFR", user: "PAFR", viewer: "PAFR" },
  "forwards.change": { admin: "PAF", user: "PAF", viewer: "" },
  "forwards.check": { admin: "PAF", user: "PAF", viewer: "" },
  "visits.end": { admin: "PA", user: "PA", viewer: "" },
  "devices.change": { admin: "PA", user: "PA", viewer: "" },
  "gateway.change": { admin: "PA", user: "", viewer: "" },
  "settings.read": { admin: "PAFR", user: "", viewer: "" },
  "settings.change": { admin: "PA", user: "", viewer: "" },
  "network.check": { admin: "PA", user: "", viewer: "" },
  "server.backup": { admin: "P", user: "", viewer: "" },
  "audit.read": { admin: "PAFR", user: "", viewer: "" },
  "metrics.read": { admin: "PAFR", user: "", viewer: "" },
  "people.read": { admin: "PAFR", user: "", viewer: "" },
  "people.change": { admin: "PA", user: "", viewer: "" },
  "people.admit": { admin: "P", user: "", viewer: "" },
  "credentials.read": { admin: "PAFR", user: "PAFR", viewer: "PAFR" },
  "credentials.end": { admin: "PA", user: "PA", viewer: "PA" },
  "credentials.change": { admin: "P", user: "P", viewer: "P" },
};
const ASKERS: readonly (readonly [letter: string, scopes: readonly AccessScope[] | null])[] = [
  ["P", null],
  ["A", ["all"]],
  ["F", ["forwards"]],
  ["R", ["read"]],
];

describe.each(ACTIONS.map((action) => [action] as const))("%s", (action) => {
  test.each(ROLES.map((role) => [role] as const))("%s", (role) => {
    const may = ASKERS.filter(([, scopes]) => mayDo({ role, scopes }, action)).map(([letter]) => letter);
    expect(may.join("")).toBe(TABLE[action][role]);
  });
});

test("several scopes are worth their highest, and none is worth nothing", () => {
  expect(mayDo({ role: "admin", scopes: ["read", "forwards"] }, "forwards.change")).toBe(true);
  expect(mayDo({ role: "admin", scopes: [...SCOPES] }, "devices.change")).toBe(true);
  expect(ACTIONS.filter((action) => mayDo({ role: "admin", scopes: [] }, action))).toEqual([]);
});

test("only an administrator has to do with every account", () => {
  expect(ROLES.filter((role) => seesAll({ role, scopes: null }))).toEqual(["admin"]);
});
