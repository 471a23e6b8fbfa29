import type { Sockets } from "./byte-socket.ts";
import { nodeSockets } from "./node-sockets.ts";

const bunSockets: Sockets = {
  dial: (options) => void Bun.connect(options as never).catch(ignoreRejection),
  // A name that does not resolve is told by the rejection alone.
  dialTls: (options) => void Bun.connect(options as never).catch((error) => options.socket.connectError(null, error)),
  listen: (options) => {
    // Bun 1.4.5 tells the descriptor, and its types do not.
    const listener: Bun.TCPSocketListener & { readonly fd?: number } = Bun.listen(options as never);
    return {
      port: listener.port,
      binding: null,
      // Asked when it is needed: after the listener has stopped there is none.
      get fd() {
        return listener.fd ?? -1;
      },
      stop: (closeConnections) => listener.stop(closeConnections),
    };
  },
  tellsDialErrors: false,
};

/** `connectError` has already told. */
function ignoreRejection(): void {}

/** The program runs on Bun, whose sockets are faster; the library in an app on Node as well. */
export const sockets: Sockets = typeof Bun === "undefined" ? nodeSockets() : bunSockets;
