import { connect, type Socket } from "node:net";
import { HERE } from "./lab.fixture.ts";

/** Bytes as they are, for what no client would send. */
export class RawConnection {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #received = "";
  #changed = Promise.withResolvers<void>();

  constructor(port: number) {
    this.#socket = connect(port, HERE);
    this.#socket.on("data", (chunk) => {
      this.#received += chunk.toString("latin1");
      this.#tell();
    });
    // A reset is an end as any other; `close` follows.
    this.#socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.#socket.on("close", () => {
        resolve();
        this.#tell();
      });
    });
  }

  get received(): string {
    return this.#received;
  }

  write(text: string): void {
    this.#socket.write(text, "latin1");
  }

  /** From now on nothing is read. */
  stall(): void {
    this.#socket.pause();
  }

  /** Resolves when `text` has come, or the connection is closed. */
  async until(text: string): Promise<string> {
    while (!this.#received.includes(text) && !this.#socket.closed) await this.#changed.promise;
    return this.#received;
  }

  end(): void {
    this.#socket.destroy();
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** The status of the answer to one request; 0 = closed without one. `head` is what comes before the empty line. */
export async function rawStatus(port: number, head: string): Promise<number> {
  const connection = new RawConnection(port);
  connection.write(`${head}\r\nConnection: close\r\n\r\n`);
  const answer = await connection.until("\r\n\r\n");
  connection.end();
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}
