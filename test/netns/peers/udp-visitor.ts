/**
 * A visitor that speaks UDP: `bun udp-visitor.ts COMMAND HOST PORT [ARGUMENT]…`; one JSON line when it is done.
 *
 * sizes SIZE…  sends a datagram of each size to an echo            → results: {size, same, from}
 * flows COUNT  one datagram from each of COUNT sockets at once     → answered, mixedUp, wrongSource
 * ask TEXT     sends TEXT and prints the answer                    → answer, from
 */
import { patternStart, say } from "./bytes.ts";

const TRY_MS = 500;
const TRIES = 10;
/** How many datagrams leave in one turn: more would only overflow the sockets between here and the relay. */
const BURST = 50;

interface Answer {
  readonly bytes: Buffer;
  readonly from: string;
}

interface Asker {
  /** Sends until an answer comes; UDP may lose any of them. Null after the last try. */
  ask(datagram: Uint8Array): Promise<Answer | null>;
  close(): void;
}

const formatFrom = (address: string, port: number): string => `${address} ${port}`;

async function openAsker(host: string, port: number): Promise<Asker> {
  let deliver: (answer: Answer) => void = () => {};
  const socket = await Bun.udpSocket({
    hostname: host.includes(":") ? "::" : "0.0.0.0",
    socket: {
      data(_, data, fromPort, fromAddress) {
        deliver({ bytes: Buffer.from(data), from: formatFrom(fromAddress, fromPort) });
      },
    },
  });
  return {
    async ask(datagram) {
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const answered = new Promise<Answer>((resolve) => {
          deliver = resolve;
        });
        socket.send(datagram, port, host);
        const answer = await Promise.race([answered, Bun.sleep(TRY_MS).then(() => null)]);
        if (answer !== null) return answer;
      }
      return null;
    },
    close: () => socket.close(),
  };
}

const COMMANDS: Record<string, (host: string, port: number, args: readonly string[]) => Promise<void>> = {
  async sizes(host, port, sizes) {
    const results = [];
    for (const size of sizes.map(Number)) {
      const asker = await openAsker(host, port);
      const sent = patternStart(size);
      const answer = await asker.ask(sent);
      results.push({
        size,
        received: answer?.bytes.length ?? null,
        same: answer?.bytes.equals(sent) ?? false,
        from: answer?.from ?? null,
      });
      asker.close();
    }
    say({ event: "done", results });
  },

  async flows(host, port, [count]) {
    const askers = await Promise.all(Array.from({ length: Number(count) }, () => openAsker(host, port)));
    const expectedFrom = formatFrom(host, port);
    const result = { answered: 0, mixedUp: 0, wrongSource: 0 };
    for (let first = 0; first < askers.length; first += BURST) {
      const burst = askers.slice(first, first + BURST).map(async (asker, index) => {
        const text = `flow ${first + index}`;
        const answer = await asker.ask(Buffer.from(text));
        if (answer === null) return;
        result.answered += 1;
        if (answer.bytes.toString() !== text) result.mixedUp += 1;
        if (answer.from !== expectedFrom) result.wrongSource += 1;
      });
      await Promise.all(burst);
    }
    say({ event: "done", ...result });
  },

  async ask(host, port, [text = ""]) {
    const asker = await openAsker(host, port);
    const answer = await asker.ask(Buffer.from(text));
    say({ event: "done", answer: answer?.bytes.toString() ?? null, from: answer?.from ?? null });
    asker.close();
  },
};

const [command = "", host = "", port = "", ...rest] = process.argv.slice(2);
const run = COMMANDS[command];
if (run === undefined) throw new Error(`no command ${command}`);
await run(host, Number(port), rest);
process.exit(0);
