/**
 * Both ends of the scenarios of the kernel's forwards: `bun nat-plane.ts COMMAND [ARGUMENT]…`, one JSON line for each
 * thing worth a test.
 *
 * serve NAME SPEC…             SPEC = tcp:PORT or udp:PORT; answers each visitor with `NAME PORT VISITOR VISITOR-PORT`,
 *                              and each line of a TCP visitor after that with `pong`
 * udp HOST PORT FROM FROMPORT  sends until an answer comes → answer
 * keep HOST PORT               a TCP connection; says `open`, asks at each SIGUSR1 and says `pong` for the answer
 * hold HOST PORT COUNT FROM    opens connections and says `held` with the number that is open at each one
 */
import { connect as netConnect } from "node:net";
import { say } from "./bytes.ts";

const RESEND_MS = 100;
const plain = (address: string): string => address.replace(/^::ffff:/, "");
const anyOf = (host: string): string => (host.includes(":") ? "::" : "0.0.0.0");

async function serve([name, ...specs]: readonly string[]): Promise<void> {
  for (const spec of specs) {
    const [protocol, portText] = spec.split(":");
    const port = Number(portText);
    if (protocol === "tcp") {
      Bun.listen({
        hostname: "::",
        port,
        socket: {
          open: (socket) => void socket.write(`${name} ${port} ${plain(socket.remoteAddress)} ${socket.remotePort}\n`),
          data: (socket) => void socket.write("pong\n"),
          error() {},
        },
      });
      continue;
    }
    await Bun.udpSocket({
      hostname: "0.0.0.0",
      port,
      socket: {
        data(socket, _data, fromPort, from) {
          say({ event: "datagram", from, fromPort });
          socket.send(`${name} ${port} ${from} ${fromPort}`, fromPort, from);
        },
      },
    });
  }
  say({ event: "ready" });
}

async function udp([host, port, from, fromPort]: readonly string[]): Promise<void> {
  const socket = await Bun.udpSocket({
    hostname: from ?? anyOf(host!),
    port: Number(fromPort ?? 0),
    socket: {
      data(_, data) {
        say({ event: "done", answer: data.toString() });
        process.exit(0);
      },
    },
  });
  const send = (): void => void socket.send("ask", Number(port), host!);
  setInterval(send, RESEND_MS);
  send();
  say({ event: "sent" });
}

function keep([host, port]: readonly string[]): void {
  const socket = netConnect({ host: host!, port: Number(port) });
  socket.on("data", (data) => say({ event: data.toString() === "pong\n" ? "pong" : "open" }));
  process.on("SIGUSR1", () => socket.write("ping\n"));
  socket.on("error", (error) => say({ event: "ended", error: String(error) }));
  socket.on("close", () => say({ event: "ended", error: null }));
}

function hold([host, port, count, from]: readonly string[]): void {
  let held = 0;
  for (let index = 0; index < Number(count); index++) {
    const socket = netConnect({
      host: host!,
      port: Number(port),
      ...(from === undefined ? {} : { localAddress: from }),
    });
    socket.once("data", () => say({ event: "held", held: ++held }));
    socket.on("error", () => undefined);
  }
}

const [command, ...args] = process.argv.slice(2);
const COMMANDS: Record<string, (args: readonly string[]) => Promise<void> | void> = { serve, udp, keep, hold };
await COMMANDS[command ?? ""]?.(args);
