import { strict as assert } from "node:assert";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import type * as library from "../../src/index.ts";

/** A relay as the cases ask for it: in the same process, or from a program on Node in the one that started it. */
export interface CaseLab {
  joinCode(name: string): Promise<string>;
  /** The relay starts again, where it was. */
  restart(): Promise<void>;
  revoke(name: string): Promise<void>;
  /** Ports of the relay that no case before had. */
  ports(count: number): Promise<number[]>;
  /** What the relay and its agent "server" may connect to. */
  allow(port: number): Promise<void>;
  /** Of the agent "server". */
  dataDirectory(): Promise<string>;
  /** Devices that the relay sees. */
  devices(): Promise<readonly { readonly id: string; readonly name: string; readonly connected: boolean }[]>;
}

export type Library = typeof library;
export type Case = (lib: Library, lab: CaseLab) => Promise<void>;

export const HERE = "127.0.0.1";
export const MIB = 1024 * 1024;
/** What is on its way to a reader that stands still: its window, the relay's buffers, and the kernel's. */
export const STALL_BOUND_BYTES = 40 * MIB;

export async function kindOf(failing: Promise<unknown>): Promise<string> {
  try {
    await failing;
  } catch (error) {
    const { kind, message } = error as { kind?: string; message: string };
    assert.match(message, /^\S.*\.$/s, "a sentence");
    return kind ?? `another error: ${message}`;
  }
  throw new Error("it did not fail");
}

export async function service(name: string): Promise<Server & { readonly port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => socket.write(`${name}:${bytes}`));
    socket.on("end", () => socket.end());
  });
  server.listen(0, HERE);
  await once(server, "listening");
  const address = server.address();
  return Object.assign(server, { port: typeof address === "object" ? (address?.port ?? 0) : 0 });
}

/** What a visitor hears that says one thing and half-closes. */
export async function ask(port: number, said = "hello"): Promise<string> {
  const visitor = dial({ port, host: HERE, allowHalfOpen: true });
  visitor.end(said);
  return text(visitor);
}

/** Resolves when the socket is gone, however it went. */
export async function gone(socket: Duplex): Promise<void> {
  socket.on("error", () => undefined);
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
}

export async function udpService(name: string, port = 0): Promise<{ readonly port: number; close(): void }> {
  const socket = createSocket("udp4");
  socket.on("message", (bytes, { port, address }) => socket.send(`${name}:${bytes}`, port, address));
  socket.bind(port, HERE);
  await once(socket, "listening");
  return { port: socket.address().port, close: () => socket.close() };
}

export async function next(
  events: AsyncGenerator<{ readonly type: string }, void>,
): Promise<{ readonly type: string } | null> {
  return (await events.next()).value ?? null;
}

export function writeAll(socket: Socket, bytes: Uint8Array, times: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = times;
    const more = () => {
      while (left > 0) {
        left -= 1;
        if (!socket.write(bytes)) return void socket.once("drain", more);
      }
      resolve();
    };
    socket.once("error", reject);
    more();
  });
}

/** Resolves when `value` is what it is sure to become. */
export async function becomes<T>(value: () => T | Promise<T>, wanted: T): Promise<void> {
  while ((await value()) !== wanted) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Resolves when `value` has stood still for a while that no working link stands still for. */
export async function settled(value: () => number): Promise<number> {
  for (let [before, same] = [-1, 0]; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    same = value() === before ? same + 1 : 0;
    if (same === 6) return before;
    before = value();
  }
}
