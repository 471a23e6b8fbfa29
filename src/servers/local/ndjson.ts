const NEWLINE = 0x0a;
/** A line above this is not one of ours. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;

/**
 * A response whose lines are the JSON of `open`'s events, pulled as fast as the client reads. When the client goes
 * away, however it does, `open`'s signal aborts and its iterator is ended. A failure becomes the last line.
 */
export function ndjsonStream<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  requestSignal: AbortSignal,
  failureLine: (error: unknown) => unknown,
): Response {
  const encoder = new TextEncoder();
  const gone = new AbortController();
  const signal = AbortSignal.any([requestSignal, gone.signal]);
  const events = open(signal)[Symbol.asyncIterator]();
  const body = new ReadableStream<Uint8Array>({
    async pull(stream) {
      const line = (value: unknown) => encoder.encode(`${JSON.stringify(value)}\n`);
      try {
        const next = await events.next();
        if (signal.aborted) return;
        if (next.done === true) stream.close();
        else stream.enqueue(line(next.value));
      } catch (error) {
        if (signal.aborted) return;
        stream.enqueue(line(failureLine(error)));
        stream.close();
      }
    },
    async cancel() {
      gone.abort();
      await events.return?.();
    },
  });
  return new Response(body, { headers: { "content-type": "application/x-ndjson" } });
}

/** The JSON values of a stream of lines. Throws SyntaxError on a line that is not JSON. A last line without its end is dropped. */
export async function* ndjsonValues(
  body: ReadableStream<Uint8Array>,
  maxLineBytes = MAX_LINE_BYTES,
): AsyncGenerator<unknown, void, void> {
  const decoder = new TextDecoder();
  let parts: Uint8Array[] = [];
  let partBytes = 0;
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      yield JSON.parse(decoder.decode(Buffer.concat([...parts, chunk.subarray(start, end)])));
      parts = [];
      partBytes = 0;
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    parts.push(rest);
    partBytes += rest.length;
    if (partBytes > maxLineBytes) throw new SyntaxError("the line is too long");
  }
}
