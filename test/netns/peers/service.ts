/**
 * The services behind the forwards: `bun service.ts [--host HOST] MODE:PROTOCOL:FIRST[-LAST][:BYTES]…`. Says
 * `{"event":"ready"}` when all are open, and one line for each thing worth a test.
 *
 * tcp  echo     sends back what comes, and its own FIN after the visitor's
 *      port     writes its port number and a newline, then FIN
 *      peer     writes `address port` of who connected and a newline, then FIN
 *      answer   reads the pattern to the FIN, then sends BYTES of it and FIN
 *      listen   sends FIN at once, then reads the pattern to the visitor's FIN
 *      source   sends BYTES of the pattern, then FIN
 *      resetter resets on the first byte
 *      watch    says how each connection ended
 * udp  echo     sends each datagram back
 *      sender   sends back the port that each datagram came from, a space and the datagram
 *      header   sends back the PROXY protocol v2 header of each datagram, as text
 *      dns      answers A and AAAA queries for any name
 *      silent   answers nothing
 */
import { patternChecker, patternSender, say } from "./bytes.ts";
import { answerDns } from "./dns.ts";
import { readProxyV2 } from "./proxy-v2.ts";

type TcpSocket = Bun.Socket<State>;
interface State {
  onData(socket: TcpSocket, bytes: Uint8Array): void;
  onEnd(socket: TcpSocket): void;
  onDrain(socket: TcpSocket): void;
  onClose(error: Error | undefined): void;
}
const errorCode = (error: Error | undefined): string | null =>
  (error as NodeJS.ErrnoException | undefined)?.code ?? null;
const nothing = (): void => {};
const idle: State = { onData: nothing, onEnd: nothing, onDrain: nothing, onClose: nothing };

const MODES: Record<string, (socket: TcpSocket, port: number, bytes: number) => State> = {
  echo(socket) {
    let queue = Buffer.alloc(0);
    let ended = false;
    const flush = (): void => {
      const taken = queue.length === 0 ? 0 : Math.max(0, socket.write(queue));
      queue = queue.subarray(taken);
      if (queue.length === 0) socket.resume();
      else socket.pause();
      if (queue.length === 0 && ended) socket.end();
    };
    return {
      ...idle,
      onData(_, bytes) {
        queue = Buffer.concat([queue, bytes]);
        flush();
      },
      onDrain: flush,
      onEnd() {
        ended = true;
        flush();
      },
    };
  },
  port(socket, port) {
    socket.end(`${port}\n`);
    return idle;
  },
  peer(socket) {
    socket.end(`${socket.remoteAddress} ${socket.remotePort}\n`);
    return idle;
  },
  answer(_socket, port, bytes) {
    const checker = patternChecker();
    const sender = patternSender(bytes);
    let asked = false;
    const go = (socket: TcpSocket): void => {
      if (asked && sender.pump(socket)) socket.end();
    };
    return {
      ...idle,
      onData: (_, received) => checker.take(received),
      onEnd(socket) {
        asked = true;
        say({ event: "received", port, bytes: checker.bytes, wrongAt: checker.wrongAt });
        go(socket);
      },
      onDrain: go,
    };
  },
  listen(socket, port) {
    const checker = patternChecker();
    socket.shutdown();
    return {
      ...idle,
      onData: (_, received) => checker.take(received),
      // Bun gives no `end` for a FIN that comes after our own: the close is the end.
      onClose(error) {
        say({ event: "received", port, bytes: checker.bytes, wrongAt: checker.wrongAt, error: errorCode(error) });
      },
    };
  },
  source(socket, _port, bytes) {
    const sender = patternSender(bytes);
    const go = (): void => {
      if (sender.pump(socket)) socket.end();
    };
    go();
    return { ...idle, onDrain: go };
  },
  resetter() {
    return { ...idle, onData: (socket) => socket.terminate() };
  },
  watch(socket, port) {
    let ended = false;
    socket.write("watching\n");
    return {
      ...idle,
      onEnd() {
        ended = true;
        socket.end();
      },
      onClose(error) {
        say({ event: "closed", port, ended, error: errorCode(error) });
      },
    };
  },
};

function serveTcp(hostname: string, mode: string, port: number, bytes: number): void {
  const make = MODES[mode];
  if (make === undefined) throw new Error(`no TCP mode ${mode}`);
  Bun.listen<State>({
    hostname,
    port,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        socket.data = make(socket, port, bytes);
      },
      data: (socket, received) => socket.data.onData(socket, received),
      end: (socket) => socket.data.onEnd(socket),
      drain: (socket) => socket.data.onDrain(socket),
      close: (socket, error) => socket.data?.onClose(error),
      error: nothing,
    },
  });
}

const ANSWERS: Record<string, (datagram: Buffer, fromPort: number) => Uint8Array | string | null> = {
  echo: (datagram) => datagram,
  sender: (datagram, fromPort) => `${fromPort} ${datagram}`,
  header: (datagram) => JSON.stringify(readProxyV2(datagram)),
  dns: answerDns,
  silent: () => null,
};

async function serveUdp(hostname: string, mode: string, port: number): Promise<void> {
  const answer = ANSWERS[mode];
  if (answer === undefined) throw new Error(`no UDP mode ${mode}`);
  await Bun.udpSocket({
    hostname,
    port,
    socket: {
      data(socket, datagram, fromPort, fromAddress) {
        const reply = answer(Buffer.from(datagram), fromPort);
        if (reply !== null && !socket.send(reply, fromPort, fromAddress))
          say({ event: "dropped", port, bytes: datagram.length });
      },
    },
  });
}

const args = process.argv.slice(2);
const hostname = args[0] === "--host" ? args.splice(0, 2)[1]! : "::";
for (const spec of args) {
  const [mode, protocol, ports, bytes] = spec.split(":") as [string, string, string, string | undefined];
  const [first, last = first] = ports.split("-").map(Number) as [number, number?];
  for (let port = first; port <= last; port++) {
    if (protocol === "tcp") serveTcp(hostname, mode, port, Number(bytes ?? 0));
    else await serveUdp(hostname, mode, port);
  }
}
say({ event: "ready" });
