import type { LocalForwardSpec } from "../../core/forward.ts";
import { bindCandidates } from "../../dataplanes/io/bind-address.ts";
import { bindPort } from "../../dataplanes/io/datagram-sockets.ts";

/** How often another number is tried where TCP has the one that was free in UDP. */
export const ANY_PORT_TRIES = 8;

/** Port 0 in both protocols is to be one number, as clients of both are told one. */
export function wantsOneNumber({ local: { ports } }: LocalForwardSpec): boolean {
  const isAny = (protocol: "tcp" | "udp") => ports.some((port) => port.protocol === protocol && port.first === 0);
  return isAny("tcp") && isAny("udp");
}

/** The same with a number that is free in UDP now; as it was where there is none. */
export function withOneNumber(spec: LocalForwardSpec): LocalForwardSpec {
  const { local } = spec;
  for (const address of bindCandidates(local.bind)) {
    const socket = bindPort(address, 0, { data: () => undefined, error: () => undefined });
    if (!socket.ok) continue;
    const { port } = socket.value;
    socket.value.close();
    return {
      ...spec,
      local: { ...local, ports: local.ports.map((mapping) => ({ ...mapping, first: port, last: port })) },
    };
  }
  return spec;
}
