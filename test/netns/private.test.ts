import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Home, open, type Site, startOther, startSite, status } from "./hatchway.ts";
import { askDnsThroughSocks, curl, startNginx, startService, type VisitEnd, visit } from "./kit.ts";
import { createLab, type Lab } from "./lab.ts";

/** Private access: local and dynamic forwards through the relay, and through another agent by name. No public port opens. */
/** `*` means public addresses; the lab's own are documentation's. */
const RELAY_TOML = `[relay]\nallow = ["*", "203.0.113.0/24", "2001:db8:113::/64"]\n`;
const OTHER_TOML = `[agent]\nallow = ["127.0.0.1:8080", "[::1]:8080", "203.0.113.0/24", "127.0.0.1:53"]\n`;
const AGENT_TOML = `
[[forward]]
listen = "127.0.0.1:6080"
to = "127.0.0.1:8080"
via = "agent:cellar"
[[forward]]
listen = "127.0.0.1:6081"
to = "127.0.0.1:22"
via = "agent:cellar"
[[socks]]
listen = "127.0.0.1:1080"
via = "relay"
[[socks]]
listen = "127.0.0.1:1081"
via = "agent:cellar"
`;
const PROXY = { relay: "127.0.0.1:1080", cellar: "127.0.0.1:1081" };
let lab: Lab;
let site: Site;
let other: { home: Home };

beforeAll(async () => {
  lab = createLab();
  site = await startSite(lab, { relay: RELAY_TOML, agent: AGENT_TOML });
  other = await startOther(lab, site, OTHER_TOML);
  await startNginx(lab, lab.visitor, 8080, "on the internet");
  await startNginx(lab, lab.other, 8080, "in the cellar");
  await startNginx(lab, lab.relay, 8090, "on the relay itself");
  await startService(lab, lab.visitor, "dns:udp:53");
}, 30_000);
afterAll(() => lab[Symbol.asyncDispose]());

describe("a local forward", () => {
  test("-L leaves at the relay", async () => {
    await using _ = await open(
      lab,
      site.agentHome,
      "connect",
      "-L",
      "5080:visitor.test:8080",
      "-L",
      "[::1]:5081:[2001:db8:113::10]:8080",
    );
    expect((await curl(lab, lab.agent, "http://127.0.0.1:5080/")).stdout).toBe("on the internet");
    expect((await curl(lab, lab.agent, "http://[::1]:5081/")).stdout).toBe("on the internet");
  }, 20_000);

  test("via another agent reaches that agent's machine, and no public port is open", async () => {
    expect((await curl(lab, lab.agent, "http://127.0.0.1:6080/")).stdout).toBe("in the cellar");
    const outside = await visit<VisitEnd>(lab, lab.visitor, "watch", lab.relay.v4, 6080, "x");
    expect(outside.error).toBe("ECONNREFUSED");
  });

  test("via another agent is refused what that agent does not allow", async () => {
    const end = await visit<VisitEnd>(lab, lab.agent, "watch", "127.0.0.1", 6081);
    expect(end.error).toBe("ECONNRESET");
    expect((await status(lab, other.home)).counters.refused["exitNotAllowed"]).toBeGreaterThanOrEqual(1);
  });
});

describe("a SOCKS entry", () => {
  const through = (proxy: string, url: string): Promise<{ exitCode: number; stdout: string; stderr: string }> =>
    curl(lab, lab.agent, "--socks5-hostname", proxy, url);

  test.each([
    ["a name", "http://visitor.test:8080/"],
    ["an IPv4 address", "http://203.0.113.10:8080/"],
    ["an IPv6 address", "http://[2001:db8:113::10]:8080/"],
    ["a name with an IPv6 address only", "http://visitor6.test:8080/"],
  ])("through the relay: %s", async (_, url) => {
    expect((await through(PROXY.relay, url)).stdout).toBe("on the internet");
  });

  test("through another agent", async () => {
    expect((await through(PROXY.cellar, "http://127.0.0.1:8080/")).stdout).toBe("in the cellar");
    expect((await through(PROXY.cellar, "http://visitor.test:8080/")).stdout).toBe("on the internet");
  });

  test("SOCKS4a and HTTP CONNECT on the same port", async () => {
    expect((await curl(lab, lab.agent, "--socks4a", PROXY.relay, "http://visitor.test:8080/")).stdout).toBe(
      "on the internet",
    );
    const connect = await curl(
      lab,
      lab.agent,
      "--proxytunnel",
      "--proxy",
      `http://${PROXY.relay}`,
      "http://visitor.test:8080/",
    );
    expect(connect.stdout).toBe("on the internet");
  });

  test("-D opens one in the foreground", async () => {
    await using _ = await open(lab, site.agentHome, "connect", "-D", "1090");
    expect((await through("127.0.0.1:1090", "http://visitor.test:8080/")).stdout).toBe("on the internet");
  });

  test("UDP ASSOCIATE carries a DNS query", async () => {
    const answer = await askDnsThroughSocks(lab, lab.agent, 1080, lab.visitor.v4, "example.com");
    expect(answer).toMatchObject({ reply: 0, address: "192.0.2.53", from: `${lab.visitor.v4}:53` });
  });

  test.each([
    ["the exit's loopback", "http://127.0.0.1:8090/"],
    ["the exit's loopback, IPv6", "http://[::1]:8090/"],
    ["the exit's loopback, mapped", "http://[::ffff:127.0.0.1]:8090/"],
    ["the exit's loopback, by name", "http://localhost:8090/"],
    ["the exit's own address", "http://203.0.113.1:8090/"],
    ["the cloud's metadata service", "http://169.254.169.254/latest/meta-data/"],
    ["the metadata service, mapped", "http://[::ffff:169.254.169.254]/"],
    ["the metadata service, IPv6", "http://[fd00:ec2::254]/"],
    ["another metadata service", "http://100.100.100.200/"],
    ["the unspecified address", "http://0.0.0.0:8090/"],
  ])("refuses %s", async (_, url) => {
    const { exitCode, stdout } = await through(PROXY.relay, url);
    expect(exitCode).toBe(97);
    expect(stdout).toBe("");
  });
});
