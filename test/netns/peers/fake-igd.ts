/**
 * An IGD that misbehaves, on the real SSDP port: `bun fake-igd.ts ADDRESS HOW`, HOW in JSON (version, controlUrl: of its
 * one line; bomb: "description" or "soap", what it answers with a document of entities). Says {"event":"ready"}, and
 * {"event":"asked","action"} for each action.
 */

import { SSDP_PORT } from "../../../src/wire/igd/ssdp.ts";
import { FakeIgd } from "../../fixtures/fake-router/igd.ts";
import { xmlBomb } from "../../fixtures/fake-router/igd-documents.ts";
import { say } from "./bytes.ts";

interface How {
  readonly controlUrl?: string;
  readonly bomb?: "description" | "soap";
}

const [address = "", how = "{}"] = process.argv.slice(2);
const { controlUrl = null, bomb } = JSON.parse(how) as How;
const fake = await FakeIgd.start({ ssdpPort: SSDP_PORT, address, version: 2, lines: [{ version: 2, controlUrl }] });
if (bomb === "description") fake.faults.description = xmlBomb();
if (bomb === "soap") {
  fake.faults.garble = (body) => (Buffer.from(body).includes("<root") ? body : new TextEncoder().encode(xmlBomb()));
}
fake.perform = (action) => {
  say({ event: "asked", action });
  return null;
};
say({ event: "ready" });
