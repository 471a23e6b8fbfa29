import { resolve } from "node:path";
import type { Command } from "commander";
import type { ForwardSpec } from "../roles/control.ts";
import { ControlError } from "../servers/local/error.ts";
import { err, ok } from "../wire/result.ts";
import { parseSshForward, type SshFlag, type SshForward } from "../wire/ssh-forward.ts";
import type { Context, Run } from "./context.ts";
import { runForeground } from "./foreground.ts";
import { collect, parsedOption } from "./parse.ts";
import { withAgent } from "./use-agent.ts";

interface ConnectOptions {
  readonly local?: readonly string[];
  readonly remote?: readonly string[];
  readonly dynamic?: readonly string[];
  readonly via: string;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly counters?: true;
}

export function defineConnect(program: Command, run: Run): void {
  program
    .command("connect")
    .summary("forward as ssh's -L, -R and -D do; until Ctrl-C")
    .description("Opens forwards in OpenSSH's syntax through the agent of --data. Each option may be repeated.")
    .option("-L, --local <[BIND:]PORT:HOST:HOSTPORT>", "listen here; leave at --via and connect to HOST", collect)
    .option("-R, --remote <PORT:HOST:HOSTPORT>", "listen on the relay; connect to HOST from here", collect)
    .option("-D, --dynamic <[BIND:]PORT>", "a SOCKS5, SOCKS4a and HTTP CONNECT proxy here; leave at --via", collect)
    .option("--via <WHERE>", "where -L and -D leave: relay, or agent:NAME", "relay")
    .option("--username <NAME>", "ask users of -D for this name and the password of --password-file")
    .option("--password-file <FILE>", "a file with the password, readable by its owner only")
    .option("--counters", "with --json: a line of counters every second as well")
    .addHelpText(
      "after",
      `
Without BIND -L and -D listen on 127.0.0.1; *:PORT means every address. IPv6 addresses stand in brackets. -R is always public.
With --json, one line on standard output for each forward that is open: {"event":"exposed","v":1,"type":…,"endpoints":[…],…}

Examples:
  hatchway connect -L 5432:db:5432 --via agent:office
  hatchway connect -R 2222:localhost:22 -D 1080
  hatchway connect -L '[::1]:8080:[2001:db8::7]:80'`,
    )
    .action(async (given: ConnectOptions, command: Command) => run(command, (context) => connect(context, given)));
}

async function connect(context: Context, given: ConnectOptions): Promise<void> {
  const specs = await specsOf(given);
  if (specs.length === 0) throw new ControlError("usage", "Name at least one forward with -L, -R or -D.");
  const view = { json: context.options.json === true, counters: given.counters === true };
  await withAgent(context, (agent) =>
    runForeground(context.io, specs.length, (signal) => agent.attach(specs, signal), view),
  );
}

async function specsOf(given: ConnectOptions): Promise<ForwardSpec[]> {
  const { exposeSpec, forwardSpec, socksSpec } = await import("../roles/config/specs.ts");
  const { readPassword } = await import("../roles/config/load.ts");
  const { ForwardEntry } = await import("../roles/config/schema.ts");
  const via = ForwardEntry.shape.via.safeParse(given.via);
  if (!via.success)
    throw new ControlError("usage", `--via must be relay or agent:NAME, not ${JSON.stringify(given.via)}.`);
  const password = given.passwordFile === undefined ? null : await readPassword(resolve(given.passwordFile));
  if (password !== null && typeof password !== "string") throw new ControlError("usage", password.message);
  if ((given.username === undefined) !== (password === null)) {
    throw new ControlError("usage", "--username and --password-file go together.");
  }
  return sshForwards(given).map((forward) => {
    const port = forward.listen.port;
    const mapping = { protocol: "tcp" as const, first: port, last: port };
    switch (forward.kind) {
      case "local": {
        const spec = forwardSpec({
          listen: listenOf(forward),
          to: { host: forward.target.host, ports: portsOf(forward.target.port), text: `${forward.target.host}` },
          ...(via.data === undefined ? {} : { via: via.data }),
        });
        return must(spec);
      }
      case "remote":
        return must(
          exposeSpec({
            to: forward.target.host,
            ports: { ranges: [{ ...mapping, internalFirst: forward.target.port }] },
          }),
        );
      case "dynamic":
        return must(
          socksSpec(
            {
              listen: listenOf(forward),
              ...(via.data === undefined ? {} : { via: via.data }),
              ...(given.username === undefined ? {} : { username: given.username }),
            },
            password,
          ),
        );
      case "remote-dynamic":
        throw new ControlError(
          "usage",
          "-R without a target is not offered: use -D on the machine that needs the proxy.",
        );
      default:
        return forward satisfies never;
    }
  });
}

function sshForwards(given: ConnectOptions): SshForward[] {
  const flags: [SshFlag, readonly string[]][] = [
    ["-L", given.local ?? []],
    ["-R", given.remote ?? []],
    ["-D", given.dynamic ?? []],
  ];
  return flags.flatMap(([flag, texts]) =>
    texts.map((text) =>
      parsedOption(flag, text, (value) => {
        const forward = parseSshForward(flag, value);
        if (!forward.ok) return forward;
        const { listen } = forward.value;
        if (flag === "-R" && listen.bindGiven && !ANY_ADDRESS.includes(listen.bind)) {
          const message = "The relay opens it on its public address: leave the bind address out.";
          return err({ message, offset: 0, length: value.length });
        }
        return ok(forward.value);
      }),
    ),
  );
}

const ANY_ADDRESS = ["*", "0.0.0.0", "::"];

function portsOf(port: number) {
  return { ranges: [{ protocol: null, first: port, last: port, internalFirst: port }] };
}

function listenOf(forward: SshForward) {
  const { bind, port } = forward.listen;
  return { bind, ports: portsOf(port), text: `${port}` };
}

function must<T, E extends { readonly message: string }>(
  made: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E },
): T {
  if (made.ok) return made.value;
  throw new ControlError("usage", made.error.message);
}
