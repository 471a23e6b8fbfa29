import { rmSync } from "node:fs";
import type { Socket } from "bun";
import { decodeHandover, encodeHandover, type HandoverMessage, MAX_HANDOVER_LINE_BYTES } from "../../wire/handover.ts";
import { privately } from "./socket-file.ts";

const NEWLINE = 0x0a;

export interface HandoverEvents {
  onMessage(link: HandoverLink, message: HandoverMessage): void;
  /** The other process closed it, or ended; the last call. */
  onEnd(link: HandoverLink): void;
}

/** The connection between two processes of one relay. It ends with either of them, however that ends. */
export class HandoverLink {
  readonly #socket: Socket<HandoverLink>;
  readonly #events: HandoverEvents;
  /** What the kernel did not take. */
  #unsent: Uint8Array = new Uint8Array(0);
  /** A line that has not come whole. */
  #partial: Uint8Array[] = [];
  #partialBytes = 0;
  #isClosed = false;

  constructor(socket: Socket<HandoverLink>, events: HandoverEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(message: HandoverMessage): void {
    if (this.#isClosed) return;
    const bytes = encodeHandover(message);
    if (this.#unsent.length > 0) this.#unsent = Buffer.concat([this.#unsent, bytes]);
    else this.#write(bytes);
  }

  #write(bytes: Uint8Array): void {
    const taken = this.#socket.write(bytes);
    this.#unsent = taken < 0 ? new Uint8Array(0) : bytes.slice(taken);
  }

  drain(): void {
    if (this.#unsent.length > 0) this.#write(this.#unsent);
  }

  receive(bytes: Uint8Array): void {
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...this.#partial, bytes.subarray(start, end)]);
      this.#partial = [];
      this.#partialBytes = 0;
      start = end + 1;
      const message = decodeHandover(line);
      if (this.#isClosed) return;
      // Another program's words: nothing can be handed over to it.
      if (!message.ok) this.close();
      else this.#events.onMessage(this, message.value);
    }
    // The buffer is the runtime's.
    const rest = bytes.slice(start);
    this.#partial.push(rest);
    this.#partialBytes += rest.length;
    if (this.#partialBytes > MAX_HANDOVER_LINE_BYTES) this.close();
  }

  /** Tells the events, too. */
  close(): void {
    if (this.#isClosed) return;
    this.#socket.end();
    this.ended();
  }

  ended(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events.onEnd(this);
  }
}

function handlers(events: HandoverEvents, onOpen: (link: HandoverLink) => void) {
  return {
    open(socket: Socket<HandoverLink>) {
      socket.data = new HandoverLink(socket, events);
      onOpen(socket.data);
    },
    data: (socket: Socket<HandoverLink>, bytes: Uint8Array) => socket.data.receive(bytes),
    drain: (socket: Socket<HandoverLink>) => socket.data.drain(),
    close: (socket: Socket<HandoverLink>) => socket.data.ended(),
    error: (socket: Socket<HandoverLink>) => socket.data.ended(),
  };
}

/** Waits at `path` for the process that takes over; only this user's can come. Returns what ends the waiting. */
export function awaitSuccessor(path: string, events: HandoverEvents): () => void {
  rmSync(path, { force: true });
  const listener = privately(() => Bun.listen<HandoverLink>({ unix: path, socket: handlers(events, () => undefined) }));
  return () => {
    listener.stop(false);
    rmSync(path, { force: true });
  };
}

/** Rejects with the system's error when nobody waits there. */
export async function joinPredecessor(path: string, events: HandoverEvents): Promise<HandoverLink> {
  const opened = Promise.withResolvers<HandoverLink>();
  await Bun.connect<HandoverLink>({ unix: path, socket: handlers(events, opened.resolve) });
  return opened.promise;
}
