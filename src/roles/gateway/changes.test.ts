import { expect, test } from "bun:test";
import { gatewaySettings } from "../config/gateway.ts";
import { consoleSettings, readConfig } from "../config/load.ts";
import { settingsChanges, settingsFor } from "./changes.ts";

const settingsOf = async (text: string) => {
  const config = await readConfig(text, "t.toml");
  return { ...gatewaySettings(config.file, (path) => path), console: consoleSettings(config) };
};
const BEFORE = `
[gateway]
wan = "eth0"
lan = "br0"
[vpn]
[[trigger]]
name = "irc"
out = 6667
in = 113
[[trigger]]
name = "ftp"
out = 21
in = 20
`;
const gateway = (line: string) => BEFORE.replace('lan = "br0"', `lan = "br0"\n${line}`);
const vpn = (line: string) => BEFORE.replace("[vpn]", `[vpn]\n${line}`);

test.each<
  [string, string, Partial<Record<"changed" | "needRestart" | "added" | "changedTriggers" | "removed", string[]>>]
>([
  ["nothing", BEFORE, {}],
  ["a default that is said", gateway("masquerade = true"), {}],
  ["wan", BEFORE.replace("eth0", "eth1"), { changed: ["gateway.wan"] }],
  ["lan", BEFORE.replace("br0", "br1"), { changed: ["gateway.lan"] }],
  ["public", gateway('public = "11.22.33.44"'), { changed: ["gateway.public"] }],
  ["masquerade", gateway("masquerade = false"), { changed: ["gateway.masquerade"] }],
  ["snat-ports", gateway('snat-ports = "40000-50000"'), { changed: ["gateway.snat-ports"] }],
  ["firewall", gateway("firewall = false"), { changed: ["gateway.firewall"] }],
  ["allow", gateway('allow = ["192.0.2.0/24"]'), { changed: ["gateway.allow"] }],
  ["deny", gateway('deny = ["192.0.2.0/24"]'), { changed: ["gateway.deny"] }],
  ["one limit", gateway("connections-per-source = 9"), { changed: ["gateway.connections-per-source"] }],
  ["the other", gateway("new-per-source = 9"), { changed: ["gateway.new-per-source"] }],
  ["a server", `${BEFORE}[upnp]\nigd = false\n`, { changed: ["upnp.igd"] }],
  [
    "rules and what else clients may",
    `${BEFORE}[upnp]\nrules = ["deny * any *"]\nmax-mappings = 3\nsecure = false\n`,
    { changed: ["upnp.rules", "upnp.secure", "upnp.max-mappings"] },
  ],
  [
    "how they ask",
    `${BEFORE}[upnp]\nnat-pmp = false\npcp = false\nstrict-nonce = true\nport-zero = false\nhttp-port = 5000\n`,
    { changed: ["upnp.nat-pmp", "upnp.pcp", "upnp.strict-nonce", "upnp.port-zero", "upnp.http-port"] },
  ],
  ["clients-meet", vpn("clients-meet = true"), { changed: ["vpn.clients-meet"] }],
  ["a hook", `${BEFORE}[[hook]]\nrun = ["/bin/true"]\n`, { changed: ["hook"] }],
  ["gluetun", `${BEFORE}[gluetun]\nlisten = "127.0.0.1:8000"\n`, { changed: ["gluetun"] }],
  ["where scrapes are answered", `${BEFORE}[metrics]\n`, { needRestart: ["metrics"] }],
  ["the user", gateway('user = "daemon"'), { needRestart: ["gateway.user"] }],
  ["the VPN's port", vpn("listen-port = 5000"), { needRestart: ["vpn.listen-port"] }],
  [
    "the VPN's other settings",
    vpn(
      'interface = "wg9"\nnetwork = "10.9.0.0/24"\nnetwork6 = "fd00:9::/64"\nendpoint = "a.example"\ndns = ["9.9.9.9"]\nmtu = 1400',
    ),
    {
      needRestart: ["vpn.interface", "vpn.network", "vpn.network6", "vpn.endpoint", "vpn.dns", "vpn.mtu"],
    },
  ],
  ["a console", `${BEFORE}[console]\nlisten = "127.0.0.1:7780"\n`, { needRestart: ["console"] }],
  ["no VPN any more", BEFORE.replace("[vpn]", ""), { needRestart: ["vpn"] }],
  [
    "triggers",
    `${BEFORE.replace("113", "114").replace('"ftp"', '"ftps"')}`,
    { added: ["ftps"], changedTriggers: ["irc"], removed: ["ftp"] },
  ],
  ["a mapping, which is told apart", `${BEFORE}[[mapping]]\nports = 80\nto = "192.168.1.2"\n`, {}],
])("%s", async (_, text, expected) => {
  const [before, next] = [await settingsOf(BEFORE), await settingsOf(text)];
  const { changed = [], needRestart = [], added = [], changedTriggers = [], removed = [] } = expected;
  const triggers = { added, changed: changedTriggers, removed };
  expect(settingsChanges(before, next)).toEqual({ changed, needRestart, triggers });
  // What needs a restart is said again at the next reload, too; the rest has been done.
  expect(settingsChanges(settingsFor(before, next), next)).toEqual({
    changed: [],
    needRestart,
    triggers: { added: [], changed: [], removed: [] },
  });
});
