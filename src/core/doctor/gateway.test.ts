import { expect, test } from "bun:test";
import { judgementTable as table } from "../../../test/fixtures/judgement-table.ts";
import { judgeForwarding, judgeGatewayRuns, judgeNft, judgeServer, judgeVpn, judgeWarning } from "./gateway.ts";

const VPN = { interface: "hatchway0", peers: 1, up: true };
table("what is said", [
  ["runs", judgeGatewayRuns({ isSetUp: true, running: { externalAddress: "9.9.9.9" } }), "ok", "9.9.9.9", null],
  ["stopped", judgeGatewayRuns({ isSetUp: true, running: null }), "failure", "does not run", "hatchway gateway"],
  ["none", judgeGatewayRuns({ isSetUp: false, running: null }), "skipped", "No gateway", null],
  ["forwards", judgeForwarding(true), "ok", "ip_forward is 1", null],
  ["forwards nothing", judgeForwarding(false), "failure", "ip_forward is 0", "sysctl -w"],
  ["forwards, not told", judgeForwarding(null), "skipped", "does not tell", null],
  ["nft", judgeNft({ kind: "works" }), "ok", "nftables", null],
  ["nft missing", judgeNft({ kind: "missing" }), "failure", "no program nft", "apt install"],
  ["nft failed", judgeNft({ kind: "failed", message: "no such thing." }), "failure", "no such thing", "modprobe"],
  ["nft, not root", judgeNft({ kind: "not-root" }), "skipped", "Only root", null],
  [
    "a warning",
    judgeWarning("The WAN has no address: see `ip address`."),
    "warning",
    "The WAN has no address.",
    "See `ip address`.",
  ],
  [
    "a firewall",
    judgeWarning("ufw drops forwards. What mends it:\nufw allow x\nufw reload"),
    "warning",
    "ufw drops forwards.",
    "ufw allow x\nufw reload",
  ],
  ["a VPN", judgeVpn(VPN), "ok", "1 peer", null],
  ["a VPN that is down", judgeVpn({ ...VPN, up: false }), "failure", "hatchway0 is not up", "hatchway status"],
  ["no VPN", judgeVpn(null), "skipped", "no VPN", null],
]);
test("a server that was switched off is as it should be", () => {
  expect(judgeServer("NAT-PMP", false, null)).toBeNull();
  expect(judgeServer("NAT-PMP", false, "port 5351 is taken.")).toMatchObject({ state: "warning" });
});
