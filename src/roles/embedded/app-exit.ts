import type { Exit } from "../../dataplanes/io/ends.ts";
import { refusedEnd, refusedFlow } from "../../dataplanes/io/refused.ts";
import { AppEnd, type ErrorOf } from "./app-end.ts";
import { AppFlow, type AppFlowSocket } from "./app-flow.ts";
import type { AppSocket } from "./app-socket.ts";

/** What an app does with its visitors; without a function for them they are refused. */
export interface AppHandlers {
  readonly socket?: ((socket: AppSocket) => unknown) | undefined;
  readonly flow?: ((flow: AppFlowSocket) => unknown) | undefined;
}

/** Leaves into the app that this agent is a part of. */
export function appExit({ socket: onSocket, flow: onFlow }: AppHandlers, errorOf: ErrorOf): Exit {
  return {
    connect: ({ visitor, entry }) => {
      if (onSocket === undefined) return refusedEnd("serviceRefused");
      const end = new AppEnd({ remote: visitor, local: entry }, errorOf);
      // After whoever asked has set its sink.
      queueMicrotask(() => {
        if (end.isClosed) return;
        end.sink.onOpen();
        handled(
          () => onSocket(end.socket),
          () => end.socket.destroy(),
          (error) => error === end.error || isPrematureClose(error),
        );
      });
      return end;
    },
    openFlow: (visit) => {
      if (onFlow === undefined) return refusedFlow("serviceRefused");
      const flow = new AppFlow(visit);
      queueMicrotask(() => {
        if (!flow.isClosed)
          handled(
            () => onFlow(flow.socket),
            () => flow.socket.close(),
            () => false,
          );
      });
      return flow;
    },
  };
}

/**
 * Runs the app's function for one visitor. What it throws, or rejects with, ends that visitor's connection, and is the
 * program's to deal with as any uncaught error, unless it is only that the visitor went away.
 */
function handled(act: () => unknown, end: () => void, isGoneVisitor: (error: unknown) => boolean): void {
  const failed = (error: unknown) => {
    end();
    if (isGoneVisitor(error)) return;
    queueMicrotask(() => {
      throw error;
    });
  };
  try {
    Promise.resolve(act()).catch(failed);
  } catch (error) {
    failed(error);
  }
}

/** What `for await` and `pipeline` of node:stream say when a stream was closed before its end. */
function isPrematureClose(error: unknown): boolean {
  return (error as { readonly code?: unknown } | null)?.code === "ERR_STREAM_PREMATURE_CLOSE";
}
