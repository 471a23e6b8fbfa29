import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";

/** Any port: nothing is sent. */
const PORT = 9;

/** This machine's address from which packets to `address` leave, as its routes say now; null = there is no way to it. */
export function sourceAddress(address: string): Promise<string | null> {
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const end = (own: string | null) => {
    socket.close();
    resolve(own);
  };
  // That there is no route (ENETUNREACH), or that it is forbidden, is the answer.
  socket.once("error", () => end(null));
  socket.connect(PORT, address, () => end(socket.address().address));
  return promise;
}
