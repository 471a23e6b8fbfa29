import type { Socket, SocketHandler } from "bun";
import { Pipe, type PipeEvents, type PipeShared } from "./pipe.ts";

/** Listens at the path for pipes of other processes, until `stop`. Throws the system's error. */
export function listenForPipes(path: string, shared: PipeShared, eventsOf: () => PipeEvents): { stop(): void } {
  const listener = Bun.listen<Pipe>({
    unix: path,
    socket: handlers((socket) => {
      const events = eventsOf();
      socket.data = new Pipe(socket, "accepted", shared, events);
      events.onOpen(socket.data);
    }),
  });
  // The pipes that came by it live on.
  return { stop: () => listener.stop(false) };
}

/** Rejects with the system's error when nobody listens there. */
export async function openPipe(path: string, shared: PipeShared, events: PipeEvents): Promise<void> {
  await Bun.connect<Pipe>({
    unix: path,
    socket: handlers((socket) => {
      socket.data = new Pipe(socket, "opened", shared, events);
      events.onOpen(socket.data);
    }),
  });
}

function handlers(open: (socket: Socket<Pipe>) => void): SocketHandler<Pipe> {
  return {
    open,
    data: (socket, bytes) => socket.data.receive(bytes),
    drain: (socket) => socket.data.drain(),
    close: (socket, error) => socket.data.socketClosed(error),
    // Reached only when a handler throws: a defect, which must not be silent nor leave the pipe half alive.
    error: (socket, error) => {
      socket.data.close(error.message);
      reportError(error);
    },
  };
}
