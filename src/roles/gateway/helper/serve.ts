import type { NatPlane } from "../../../dataplanes/nat/state.ts";
import { messageOf } from "../../../os/errors.ts";
import { ndjsonValues } from "../../../servers/local/ndjson.ts";
import type { GatewayKernel } from "./kernel.ts";
import {
  HELPER_CALLS,
  type HelperCall,
  type HelperHandlers,
  helperRequest,
  type InputOf,
  numberedRequest,
  type OutputOf,
} from "./schema.ts";

/** 20,000 mappings in one line are about 6 MB. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** The reading and the writing end of the socket between the gateway and its helper. */
export interface HelperSocket {
  readonly input: ReadableStream<Uint8Array>;
  write(line: string): void;
}

function handlers(kernel: GatewayKernel): HelperHandlers {
  const { plane, vpn } = kernel;
  return {
    replace: async ({ settings, entries }) => asOutcome(await plane.replace(settings, entries)),
    change: async (change) => asOutcome(await plane.change(change)),
    usage: async () => [...(await plane.usage())],
    drops: async () => ({ ...(await plane.drops()) }),
    openTriggers: async () => [...(await plane.openTriggers())],
    forward: async ({ wan }) => ({ failure: await kernel.forward(wan) }),
    firewalls: async (ours) => [...(await kernel.firewalls(ours))].map((one) => ({ ...one, remedy: [...one.remedy] })),
    openFlows: async () => [...(await kernel.openFlows())],
    visits: async () => [...(await kernel.visits())],
    endVisit: async (name) => ({ ended: await kernel.endVisit(name) }),
    vpnApply: async ({ state }) => {
      const done = await vpn.apply(state);
      return done.ok ? { applied: done.value } : { error: done.error };
    },
    vpnStatus: async () => {
      const status = await vpn.status();
      return status.ok ? { status: status.value } : { error: status.error };
    },
    vpnClose: async (options) => {
      const closed = await vpn.close(options);
      return { error: closed.ok ? null : closed.error };
    },
    close: async (options) => {
      await kernel.close(options);
      return {};
    },
  };
}

function asOutcome(result: Awaited<ReturnType<NatPlane["change"]>>) {
  return { error: result.ok ? null : result.error };
}

/**
 * Serves the gateway until its end of the socket closes. Requests are begun in their order; each is answered when it is
 * done. A request that is not understood is answered with why, and changes nothing; what has no number cannot be.
 */
export async function serveHelper(socket: HelperSocket, kernel: GatewayKernel): Promise<void> {
  const handle = handlers(kernel);
  const running = new Set<Promise<void>>();
  for await (const value of ndjsonValues(socket.input, MAX_LINE_BYTES)) {
    const numbered = numberedRequest.safeParse(value);
    if (!numbered.success) continue;
    const { id } = numbered.data;
    const answer = answerTo(handle, value).then(
      (output) => socket.write(`${JSON.stringify({ id, output })}\n`),
      (error) => socket.write(`${JSON.stringify({ id, failure: messageOf(error) })}\n`),
    );
    running.add(answer);
    void answer.then(() => running.delete(answer));
  }
  await Promise.all(running);
}

async function answerTo(handle: HelperHandlers, value: unknown): Promise<unknown> {
  const request = helperRequest.safeParse(value);
  if (!request.success) throw new Error(`The privileged helper knows no such request: ${request.error.message}`);
  return await run(handle, request.data.call, request.data.input);
}

async function run<C extends HelperCall>(handle: HelperHandlers, call: C, input: unknown): Promise<OutputOf<C>> {
  const parsed = HELPER_CALLS[call].input.safeParse(input);
  if (!parsed.success) throw new Error(`The privileged helper refuses "${call}": ${parsed.error.message}`);
  return await handle[call](parsed.data as InputOf<C>);
}
