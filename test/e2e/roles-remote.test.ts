import { describe, expect, test } from "bun:test";
import { anyPort, mapping, remote, rolesLab, tcpAndUdp } from "../fixtures/roles-lab.ts";
import { ask, askUdp, tcpService, udpService } from "../fixtures/services.ts";

const portOf = (info: { endpoints: readonly { port: number }[] } | undefined) => info?.endpoints[0]?.port ?? 0;

describe("a remote forward", () => {
  test("carries TCP to the agent's service and back", async () => {
    await using lab = await rolesLab();
    using service = tcpService("web");
    const agent = await lab.agent("web1");
    const info = await agent.add(remote("web", [mapping("tcp", lab.pool[0]!, lab.pool[0]!, service.port)]));
    expect(info).toMatchObject({
      state: "open",
      message: null,
      endpoints: [{ protocol: "tcp", host: "127.0.0.1", port: lab.pool[0], internalPort: service.port }],
    });
    expect(await ask(lab.pool[0]!)).toBe("web:hello");
  });

  test("carries UDP to the agent's service and back", async () => {
    await using lab = await rolesLab();
    using service = await udpService("dns");
    const agent = await lab.agent("web1");
    await agent.add(remote("dns", [mapping("udp", lab.pool[0]!, lab.pool[0]!, service.port)]));
    expect(await askUdp(lab.pool[0]!)).toBe("dns:hello");
  });

  test("with a range leads each port to its own", async () => {
    await using lab = await rolesLab();
    using first = tcpService("first");
    const agent = await lab.agent("web1");
    await agent.add(remote("range", [mapping("tcp", lab.pool[0]!, lab.pool[2]!, first.port - 1)]));
    expect(await ask(lab.pool[1]!)).toBe("first:hello");
  });

  test("asking for any port gets the lowest free one, and the next the next", async () => {
    await using lab = await rolesLab();
    using service = tcpService("any");
    const agent = await lab.agent("web1");
    expect(portOf(await agent.add(remote("a", anyPort(service.port))))).toBe(lab.pool[0]!);
    expect(portOf(await agent.add(remote("b", anyPort(service.port))))).toBe(lab.pool[1]!);
    expect(await ask(lab.pool[1]!)).toBe("any:hello");
  });

  test("asking for any port keeps it when the agent starts again", async () => {
    await using lab = await rolesLab();
    using service = tcpService("any");
    const agent = await lab.agent("web1");
    await agent.add(remote("a", anyPort(service.port)), true);
    await agent.add(remote("b", anyPort(service.port)), true);
    await agent.running.removeForward("a");
    await agent.stop();
    const again = await lab.agent("web1");
    await again.link("connected");
    // The lower port is free now; what was settled stays.
    expect(portOf(await again.add(remote("b", anyPort(service.port)), true))).toBe(lab.pool[1]!);
    expect(await ask(lab.pool[1]!)).toBe("any:hello");
  });

  test("asking for any port keeps it when the relay starts again", async () => {
    await using lab = await rolesLab();
    using service = tcpService("any");
    const agent = await lab.agent("web1");
    await agent.add(remote("a", anyPort(service.port)));
    await agent.add(remote("b", anyPort(service.port)));
    await agent.running.removeForward("a");
    await lab.restartRelay();
    await agent.link("connected");
    expect(portOf(await agent.add(remote("b", anyPort(service.port))))).toBe(lab.pool[1]!);
    expect(await ask(lab.pool[1]!)).toBe("any:hello");
  });

  test("has TCP and UDP of one number together", async () => {
    await using lab = await rolesLab();
    using tcp = tcpService("tcp");
    const agent = await lab.agent("web1");
    const info = await agent.add(remote("both", tcpAndUdp(lab.pool[3]!, lab.pool[3]!, tcp.port)));
    expect(info.endpoints.map(({ protocol, port }) => `${port}/${protocol}`)).toEqual([
      `${lab.pool[3]}/tcp`,
      `${lab.pool[3]}/udp`,
    ]);
    expect(await ask(lab.pool[3]!)).toBe("tcp:hello");
  });
});
