import { type UpstreamMeans, upstreamOpener } from "../roles/upstream/open.ts";
import type { OpenPort, OpenPortOptions } from "./hatchway.d.ts";
import { specOf } from "./options.ts";
import { aborted, KeptPort } from "./port.ts";

/** `openPort` at this machine's routers; tests have their own. Each call keeps what is its own: nothing is shared. */
export function openPortBy(means: Omit<UpstreamMeans, "onFault">) {
  return async (ports: number | string, options: OpenPortOptions = {}): Promise<OpenPort> => {
    const spec = specOf(ports, options);
    const { signal } = options;
    if (signal?.aborted) throw aborted(signal);
    const port = new KeptPort((changed, onFault) => upstreamOpener({ ...means, onFault })(spec, changed), signal);
    const failure = await port.opened();
    if (failure === null && port.state !== "closed") return port;
    await port.close();
    throw failure ?? aborted(signal);
  };
}
