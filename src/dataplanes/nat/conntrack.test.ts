import { describe, expect, test } from "bun:test";
import type { CommandOutput, Run } from "../../os/command.ts";
import { err, ok } from "../../wire/result.ts";
import { createConntrack, deletesFor, type Flow, flowKey, parseFlows } from "./conntrack.ts";
import type { NatEntry, NatForward, NatPinhole } from "./state.ts";

const GATEWAY = "203.0.113.20";
const HOST = "192.168.77.2";
const forward = (protocol: "tcp" | "udp", first: number, last = first, to = HOST): NatForward => ({
  kind: "forward",
  id: `${protocol}${first}`,
  protocol,
  first,
  last,
  to,
  internalFirst: 80,
  allow: [],
  deny: [],
  limits: null,
});
const pinhole: NatPinhole = { ...forward("udp", 7001, 7001, "2001:db8::2"), kind: "pinhole" };
const flow = (protocol: "tcp" | "udp", port: number, answeredBy = HOST, destination = GATEWAY): Flow => ({
  protocol,
  destination,
  port,
  answeredBy,
  isOver: false,
});

test("reads the list that conntrack 1.4.7 saves", () => {
  const text = `-A -t 29 -u SEEN_REPLY -s 203.0.113.10 -d 203.0.113.20 -g 192.168.77.2 -q 203.0.113.10 -p udp --sport 47961 --dport 7001 --reply-port-src 7002 --reply-port-dst 47961
-A -t 299 -u SEEN_REPLY,ASSURED -s 192.168.77.2 -d 198.51.100.1 -r 198.51.100.1 -n 203.0.113.20 -p tcp --sport 44706 --dport 443 --reply-port-src 443 --reply-port-dst 44706 --state ESTABLISHED
-A -t 30 -u UNSET -s 203.0.113.10 -d 203.0.113.20 -r 203.0.113.20 -q 203.0.113.10 -p udp --sport 1 --dport 9 --reply-port-src 9 --reply-port-dst 1
-A -t 29 -u SEEN_REPLY -s 203.0.113.10 -d 203.0.113.20 -r 203.0.113.20 -q 203.0.113.10 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 1

`;
  expect(parseFlows(text)).toEqual([
    flow("udp", 7001),
    flow("tcp", 443, "198.51.100.1", "198.51.100.1"),
    flow("udp", 9, GATEWAY),
  ]);
});

describe("what is deleted", () => {
  const cases: readonly [string, readonly Flow[], readonly NatEntry[], readonly string[]][] = [
    ["nothing for nothing", [flow("udp", 7001)], [], []],
    [
      "the forward's own port and client",
      [flow("udp", 7001), flow("udp", 7001), flow("udp", 7002), flow("tcp", 7001), flow("udp", 7001, "192.168.77.3")],
      [forward("udp", 7001)],
      ["-D -f ipv4 -p udp -d 203.0.113.20 -r 192.168.77.2 --dport 7001"],
    ],
    [
      "UDP to this machine that came before the forward, and no TCP",
      [flow("udp", 7001, GATEWAY), flow("tcp", 7001, GATEWAY)],
      [forward("udp", 7001), forward("tcp", 7001)],
      ["-D -f ipv4 -p udp -d 203.0.113.20 -r 203.0.113.20 --dport 7001"],
    ],
    [
      "nothing of clients that go out to the same port",
      [flow("udp", 7001, "198.51.100.1", "198.51.100.1")],
      [forward("udp", 7001)],
      [],
    ],
    [
      "nothing that reaches the client without the forward",
      [flow("udp", 7001, HOST, HOST)],
      [forward("udp", 7001)],
      [],
    ],
    [
      "one by one while the client keeps others",
      [1, 2, 3, 4, 5].map((port) => flow("udp", port)),
      [forward("udp", 1, 4)],
      [1, 2, 3, 4].map((port) => `-D -f ipv4 -p udp -d 203.0.113.20 -r 192.168.77.2 --dport ${port}`),
    ],
    [
      "at once when all that leads to the client goes",
      [1, 2, 3, 4].map((port) => flow("udp", port)),
      [forward("udp", 1, 3), forward("udp", 4)],
      ["-D -f ipv4 -p udp -d 203.0.113.20 -r 192.168.77.2"],
    ],
  ];
  test.each(cases)("%s", (_, flows, entries, expected) => {
    expect(deletesFor("ipv4", flows, entries, new Set([GATEWAY]))).toEqual([...expected]);
  });

  test("a pinhole's flows, which nothing redirected", () => {
    const flows = [flow("udp", 7001, pinhole.to, pinhole.to), flow("udp", 7002, pinhole.to, pinhole.to)];
    expect(deletesFor("ipv6", flows, [pinhole], new Set())).toEqual([
      "-D -f ipv6 -p udp -d 2001:db8::2 -r 2001:db8::2 --dport 7001",
    ]);
  });
});

describe("the program", () => {
  const output = (exitCode: number, stdout: string, stderr = ""): CommandOutput => ({ exitCode, stdout, stderr });
  const LIST = "-A -s 203.0.113.10 -d 203.0.113.20 -g 192.168.77.2 -p udp --sport 1 --dport 7001\n";
  const NONE = "conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.\n";
  const talking = (...answers: readonly CommandOutput[]) => {
    const asked: string[] = [];
    const run: Run = async (argv, options) => {
      asked.push([...argv, options?.input ?? ""].join(" ").trim());
      return ok(answers[asked.length - 1] ?? output(99, ""));
    };
    return { asked, conntrack: createConntrack({ run, ownAddresses: () => [GATEWAY] }) };
  };

  test("is asked once for the list and once for all deletes", async () => {
    const deleted = "udp 17 29 src=203.0.113.10 dst=203.0.113.20 sport=1 dport=7001 src=…\n";
    const { asked, conntrack } = talking(output(0, LIST), output(0, deleted));
    expect(await conntrack.forget([forward("udp", 7001)])).toEqual(ok({ flows: 1 }));
    expect(asked).toEqual([
      "conntrack -L -f ipv4 -o save",
      "conntrack -R - -D -f ipv4 -p udp -d 203.0.113.20 -r 192.168.77.2 --dport 7001",
    ]);
  });

  test("is not asked to delete nothing, nor to list what nobody gave", async () => {
    const { asked, conntrack } = talking(output(0, ""));
    expect(await conntrack.forget([])).toEqual(ok({ flows: 0 }));
    expect(await conntrack.forget([pinhole])).toEqual(ok({ flows: 0 }));
    expect(asked).toEqual(["conntrack -L -f ipv6 -o save"]);
  });

  test.each([
    ["SYN_RECV", 1],
    ["ESTABLISHED", 1],
    ["FIN_WAIT", 1],
    ["CLOSE_WAIT", 1],
    ["LAST_ACK", 0],
    ["TIME_WAIT", 0],
    ["CLOSE", 0],
  ])("TCP in %s counts as %d that are open", async (state, count) => {
    const line = `-A -t 9 -u SEEN_REPLY,ASSURED -s 203.0.113.10 -d ${GATEWAY} -g ${HOST} -q 203.0.113.10 -p tcp --sport 47961 --dport 7001 --reply-port-src 80 --reply-port-dst 47961 --state ${state}\n`;
    const { conntrack } = talking(output(0, line), output(0, ""));
    const opened = await conntrack.open();
    expect(opened.ok && (opened.value.get(flowKey("tcp", 7001, HOST)) ?? 0)).toBe(count);
  });

  test("a flow that ended by itself meanwhile is no failure", async () => {
    const { conntrack } = talking(output(0, LIST), output(1, "", NONE));
    expect(await conntrack.forget([forward("udp", 7001)])).toEqual(ok({ flows: 0 }));
  });

  test("both families are deleted together", async () => {
    const v6 = "-A -s fd00::1 -d 2001:db8::2 -r 2001:db8::2 -p udp --sport 1 --dport 7001\n";
    const { asked, conntrack } = talking(output(0, LIST), output(0, v6), output(0, "a src=1\nb src=2\n"));
    expect(await conntrack.forget([forward("udp", 7001), pinhole])).toEqual(ok({ flows: 2 }));
    expect(asked.slice(2).flatMap((input) => input.split("\n"))).toEqual([
      "conntrack -R - -D -f ipv4 -p udp -d 203.0.113.20 -r 192.168.77.2 --dport 7001",
      "-D -f ipv6 -p udp -d 2001:db8::2 -r 2001:db8::2 --dport 7001",
    ]);
  });

  /** Each run ends when the test says so. */
  const slow = () => {
    const runs: { readonly argv: string; end(answer: CommandOutput): void }[] = [];
    let begun = Promise.withResolvers<void>();
    const run: Run = (argv) => {
      const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<Run>>>();
      runs.push({ argv: argv.join(" "), end: (answer) => resolve(ok(answer)) });
      begun.resolve();
      begun = Promise.withResolvers();
      return promise;
    };
    return {
      conntrack: createConntrack({ run, ownAddresses: () => [GATEWAY] }),
      async run(number: number) {
        while (runs.length < number) await begun.promise;
        return runs[number - 1]!;
      },
      count: () => runs.length,
    };
  };

  test("what is asked while it runs is done by one more run, which begins afterwards", async () => {
    const { conntrack, run, count } = slow();
    const ended: string[] = [];
    const forget = (port: number) => conntrack.forget([forward("udp", port)]).then(() => ended.push(`${port}`));
    const all = [forget(1)];
    const first = await run(1);
    all.push(forget(7001), forget(7002), forget(7003));
    await new Promise(setImmediate);
    expect(count()).toBe(1);
    first.end(output(0, ""));
    const second = await run(2);
    await all[0];
    expect(ended).toEqual(["1"]);
    all.push(forget(8000));
    second.end(output(0, LIST));
    const third = await run(3);
    expect(third.argv).toBe("conntrack -R -");
    expect(ended).toEqual(["1"]);
    third.end(output(0, "udp src=\n"));
    const fourth = await run(4);
    expect(ended.sort()).toEqual(["1", "7001", "7002", "7003"]);
    fourth.end(output(0, ""));
    await Promise.all(all);
    expect(count()).toBe(4);
  });

  test("a run that fails is told to those who waited for it, and the next is another", async () => {
    const { conntrack, run } = slow();
    const failing = conntrack.forget([forward("udp", 1)]);
    const first = await run(1);
    const next = conntrack.forget([forward("udp", 2)]);
    first.end(output(2, "", "conntrack v1.4.6 (conntrack-tools): unknown option"));
    expect(await failing).toMatchObject({ error: { kind: "refused" } });
    (await run(2)).end(output(0, ""));
    expect(await next).toEqual(ok({ flows: 0 }));
  });

  test("a client is deleted by each of its sides", async () => {
    const { asked, conntrack } = talking(output(1, "", NONE));
    expect(await conntrack.forgetClient("10.66.0.2")).toEqual(ok({ flows: 0 }));
    expect(asked[0]?.split("\n")).toEqual([
      "conntrack -R - -D -f ipv4 -s 10.66.0.2",
      "-D -f ipv4 -d 10.66.0.2",
      "-D -f ipv4 -r 10.66.0.2",
      "-D -f ipv4 -q 10.66.0.2",
    ]);
  });

  test("failures are values with a sentence", async () => {
    const denied = talking(
      output(1, "", "conntrack v1.4.7 (conntrack-tools): Operation failed: Operation not permitted"),
    );
    expect(await denied.conntrack.forgetClient("10.66.0.2")).toMatchObject({ error: { kind: "permission" } });
    const old = talking(output(2, "", "conntrack v1.4.6 (conntrack-tools): unknown option"));
    expect(await old.conntrack.forgetClient("10.66.0.2")).toMatchObject({
      error: { kind: "refused", message: expect.stringContaining("1.4.7") },
    });
    const missing = createConntrack({
      run: async () => err({ kind: "missing", message: "Install conntrack." }),
      ownAddresses: () => [],
    });
    expect(await missing.forget([forward("udp", 1)])).toEqual(err({ kind: "missing", message: "Install conntrack." }));
  });
});
