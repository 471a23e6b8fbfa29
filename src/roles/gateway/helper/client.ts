import type { NatError, NatPlane } from "../../../dataplanes/nat/state.ts";
import type { VpnInterface } from "../../../dataplanes/nat/wireguard/state.ts";
import { ndjsonValues } from "../../../servers/local/ndjson.ts";
import { err, ok, type Result } from "../../../wire/result.ts";
import type { GatewayKernel } from "./kernel.ts";
import { HELPER_CALLS, type HelperCall, helperReply, type InputOf, type OutputOf } from "./schema.ts";
import { type HelperSocket, MAX_LINE_BYTES } from "./serve.ts";

interface Waiting {
  resolve(output: unknown): void;
  reject(error: Error): void;
}

const ENDED = "The gateway's privileged helper ended: see the log, and start the gateway again.";

/** The gateway's end of the socket to its privileged helper. */
export class HelperClient {
  readonly #socket: HelperSocket;
  readonly #waiting = new Map<number, Waiting>();
  /** Resolves when the helper is gone: every call from then on rejects. */
  readonly ended: Promise<void>;
  #last = 0;
  #gone = false;

  constructor(socket: HelperSocket) {
    this.#socket = socket;
    this.ended = this.#read();
  }

  call<C extends HelperCall>(call: C, input: InputOf<C>): Promise<OutputOf<C>> {
    if (this.#gone) return Promise.reject(new Error(ENDED));
    const id = ++this.#last;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    try {
      this.#socket.write(`${JSON.stringify({ id, call, input })}\n`);
    } catch (cause) {
      // It has just ended: the reading end hears of that a moment later.
      this.#waiting.delete(id);
      reject(new Error(ENDED, { cause }));
    }
    return promise.then((output) => HELPER_CALLS[call].output.parse(output) as OutputOf<C>);
  }

  /** Never rejects: an answer that cannot be read is the end of the helper, and every call is told why. */
  async #read(): Promise<void> {
    let cause: unknown;
    try {
      for await (const value of ndjsonValues(this.#socket.input, MAX_LINE_BYTES)) {
        const reply = helperReply.parse(value);
        const waiting = this.#waiting.get(reply.id);
        this.#waiting.delete(reply.id);
        if ("failure" in reply) waiting?.reject(new Error(reply.failure));
        else waiting?.resolve(reply.output);
      }
    } catch (error) {
      cause = error;
    }
    this.#gone = true;
    for (const { reject } of this.#waiting.values()) reject(new Error(ENDED, { cause }));
    this.#waiting.clear();
  }
}

/** The kernel's part of a gateway, by way of the helper. */
export function helperKernel(helper: HelperClient): GatewayKernel {
  return {
    plane: helperPlane(helper),
    vpn: helperVpn(helper),
    forward: async (wan) => (await helper.call("forward", { wan: [...wan] })).failure,
    openFlows: async () => new Map(await helper.call("openFlows", {})),
    visits: () => helper.call("visits", {}),
    endVisit: async ({ protocol, visitor, entry, id }) =>
      (await helper.call("endVisit", { protocol, visitor, entry, id })).ended,
    firewalls: (ours) => helper.call("firewalls", ours),
    close: async (options) => {
      await helper.call("close", options);
    },
  };
}

function helperVpn(helper: HelperClient): VpnInterface {
  return {
    async apply(state) {
      const done = await helper.call("vpnApply", { state });
      return "applied" in done ? ok(done.applied) : err(done.error);
    },
    async status() {
      const done = await helper.call("vpnStatus", {});
      return "status" in done ? ok(done.status) : err(done.error);
    },
    async close(options) {
      const { error } = await helper.call("vpnClose", options);
      return error === null ? ok(null) : err(error);
    },
  };
}

function helperPlane(helper: HelperClient): NatPlane {
  return {
    replace: (settings, entries) => asResult(helper.call("replace", { settings, entries: [...entries] })),
    change: ({ put, remove }) => asResult(helper.call("change", { put: [...put], remove: [...remove] })),
    usage: async () => new Map(await helper.call("usage", {})),
    drops: () => helper.call("drops", {}),
    openTriggers: () => helper.call("openTriggers", {}),
    // Closing is the kernel's as a whole.
    close: async (options) => {
      await helper.call("close", options);
    },
  };
}

/** A helper that is gone, or does not take it, has changed nothing: whoever asked takes back what it decided. */
async function asResult(asked: Promise<OutputOf<"change">>): Promise<Result<null, NatError>> {
  try {
    const { error } = await asked;
    return error === null ? ok(null) : err(error);
  } catch (cause) {
    return err({ kind: "refused", message: cause instanceof Error ? cause.message : String(cause) });
  }
}
