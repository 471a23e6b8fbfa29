import { judgementTable as table } from "../../../test/fixtures/judgement-table.ts";
import { judgeMappings, judgeRouter } from "./router.ts";

const router = (kind: Parameters<typeof judgeRouter>[0]["kind"], isNeeded: boolean, sure = true) =>
  judgeRouter({ kind, sure, isNeeded, advice: ["Use a relay."] });
table("what is said", [
  ["open", router("open-internet", true), "ok", "can be reached", null],
  ["open, not for sure", router("open-internet", true, false), "ok", "Most likely: ", null],
  ["public here", router("public-here", true), "ok", "public address of its own", null],
  ["cgnat, needed", router("cgnat", true), "failure", "CGNAT", "Use a relay."],
  ["cgnat, needed, not for sure", router("cgnat", true, false), "warning", "Most likely: ", "Use a relay."],
  ["cgnat, good to know", router("cgnat", false), "ok", "CGNAT", "Use a relay."],
  ["double NAT", router("double-nat", true), "failure", "Another router", "Use a relay."],
  ["blocked", router("blocked", true), "failure", "opens no ports", "Use a relay."],
  ["held", judgeMappings({ held: 2, missing: [] }), "ok", "holds 2 mappings", null],
  ["lost", judgeMappings({ held: 2, missing: ["game"] }), "warning", 'does not have "game"', "restart the router"],
]);
