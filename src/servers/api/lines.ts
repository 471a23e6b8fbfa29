import { LINES_TYPE } from "./protocol.ts";

/** One JSON object a line, as fast as it is read. An error half-way cuts the answer short: nobody takes it for whole. */
export function jsonLines(values: AsyncIterable<unknown>, onUnexpected: (error: unknown) => void): Response {
  const iterator = values[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await iterator.next();
          if (done === true) controller.close();
          else controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
        } catch (error) {
          onUnexpected(error);
          // Without a reason: Bun (1.4.5) writes it to standard error, past the log.
          controller.error();
        }
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { "content-type": LINES_TYPE } });
}
