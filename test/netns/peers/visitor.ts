/**
 * A visitor: `bun visitor.ts COMMAND HOST PORT [ARGUMENT]…`. Each command prints one JSON line when it is done.
 *
 * ask BYTES        sends BYTES, then FIN, then reads to the end      → sent, received, wrongAt, error, ms
 * afterwards BYTES reads to the service's FIN, then sends BYTES, FIN → sent, received, error
 * reset            waits for a first byte, then resets               → done
 * watch [TEXT]     sends TEXT if any and waits for the end           → text, ended, error, ms (from connect to close)
 *                  (only for a service that reads it: a send that meets a reset takes the error, and the end tells none)
 * ports PORT…      connects to PORT and each further one             → answers: port → line
 * hold COUNT       opens COUNT connections and reads nothing; `{"event":"holding"}`, then stays
 * keep             sends a line a time for each on stdin…            (see keep)
 * rate MS          reads as fast as it can for MS                    → bytesPerSec
 */
import { patternChecker, patternSender, say } from "./bytes.ts";

interface Handlers {
  open?(socket: Bun.Socket): void;
  data?(socket: Bun.Socket, bytes: Buffer): void;
  end?(socket: Bun.Socket): void;
  drain?(socket: Bun.Socket): void;
}

interface Ended {
  /** The far side ended in order: its FIN came. */
  readonly ended: boolean;
  readonly error: string | null;
  readonly ms: number;
}

const errorCode = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** Connects and resolves at the connection's end, whatever kind of end it is. */
function connect(hostname: string, port: number, handlers: Handlers): Promise<Ended> {
  const startedMs = performance.now();
  let ended = false;
  return new Promise((resolve) => {
    const finish = (error: unknown): void => {
      resolve({ ended: ended || !error, error: error ? errorCode(error) : null, ms: performance.now() - startedMs });
    };
    Bun.connect({
      hostname,
      port,
      allowHalfOpen: true,
      socket: {
        open: (socket) => handlers.open?.(socket),
        data: (socket, bytes) => handlers.data?.(socket, bytes),
        drain: (socket) => handlers.drain?.(socket),
        end(socket) {
          ended = true;
          if (handlers.end) handlers.end(socket);
          else socket.end();
        },
        close: (_socket, error) => finish(error),
        error: (_socket, error) => finish(error),
        connectError: (_socket, error) => finish(error),
      },
    }).catch(finish);
  });
}

const COMMANDS: Record<string, (host: string, port: number, args: readonly string[]) => Promise<void>> = {
  async ask(host, port, [bytes]) {
    const sender = patternSender(Number(bytes));
    const checker = patternChecker();
    let shut = false;
    const pump = (socket: Bun.Socket): void => {
      if (shut || !sender.pump(socket)) return;
      shut = true;
      socket.shutdown();
    };
    const end = await connect(host, port, { open: pump, drain: pump, data: (_, received) => checker.take(received) });
    say({ event: "done", ...end, sentAll: shut, received: checker.bytes, wrongAt: checker.wrongAt });
  },

  async afterwards(host, port, [bytes]) {
    const sender = patternSender(Number(bytes));
    let received = 0;
    let asked = false;
    let sentAll = false;
    const pump = (socket: Bun.Socket): void => {
      if (!asked || sentAll || !sender.pump(socket)) return;
      sentAll = true;
      socket.end();
    };
    const end = await connect(host, port, {
      drain: pump,
      data(_, piece) {
        received += piece.length;
      },
      end(socket) {
        asked = true;
        pump(socket);
      },
    });
    say({ event: "done", ...end, sentAll, received });
  },

  async reset(host, port) {
    const end = await connect(host, port, { data: (socket) => socket.terminate() });
    say({ event: "done", ...end });
  },

  async watch(host, port, [text]) {
    let received = "";
    const end = await connect(host, port, {
      open: (socket) => text !== undefined && socket.write(text),
      data(_, bytes) {
        received += bytes;
      },
    });
    say({ event: "done", ...end, text: received });
  },

  async ports(host, port, more) {
    const answers: Record<string, string> = {};
    const visit = async (target: number): Promise<void> => {
      const end = await connect(host, target, {
        data(_, bytes) {
          answers[target] = (answers[target] ?? "") + bytes;
        },
      });
      answers[target] ??= end.error ?? "";
    };
    await Promise.all([port, ...more.map(Number)].map(visit));
    say({ event: "done", answers });
  },

  async hold(host, port, [count]) {
    let open = 0;
    const ends = Array.from({ length: Number(count) }, () =>
      connect(host, port, {
        open(socket) {
          socket.pause();
          open += 1;
          if (open === Number(count)) say({ event: "holding", open });
        },
      }),
    );
    const first = await Promise.race(ends);
    say({ event: "lost", ...first });
  },

  async rate(host, port, [forMs]) {
    let bytes = 0;
    let startedMs = 0;
    let tookMs = 0;
    await connect(host, port, {
      data(socket, piece) {
        if (startedMs === 0) startedMs = performance.now();
        bytes += piece.length;
        tookMs = performance.now() - startedMs;
        if (tookMs >= Number(forMs)) socket.terminate();
      },
    });
    say({ event: "done", bytes, bytesPerSec: tookMs > 0 ? (bytes / tookMs) * 1000 : 0 });
  },

  /** Sends `ping N` every 20 ms and reads the echo, until SIGTERM: `{"event":"started"}`, then how many came back. */
  async keep(host, port) {
    let sent = 0;
    let received = "";
    let said = false;
    let current: Bun.Socket | null = null;
    const timer = setInterval(() => {
      current?.write(`ping ${sent++}\n`);
    }, 20);
    process.once("SIGTERM", () => {
      clearInterval(timer);
      current?.shutdown();
    });
    const end = await connect(host, port, {
      open(socket) {
        current = socket;
      },
      data(_, bytes) {
        received += bytes;
        if (!said) say({ event: "started" });
        said = true;
      },
    });
    clearInterval(timer);
    const expected = Array.from({ length: sent }, (_, index) => `ping ${index}\n`).join("");
    say({ event: "done", ...end, sent, whole: received === expected });
  },
};

const [command = "", host = "", port = "", ...rest] = process.argv.slice(2);
const run = COMMANDS[command];
if (run === undefined) throw new Error(`no command ${command}`);
await run(host, Number(port), rest);
process.exit(0);
