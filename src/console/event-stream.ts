/** The values of a `text/event-stream` (HTML, "Server-sent events") whose events have one line of data each, in JSON. */
export async function* eventsOf<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith(DATA)) yield JSON.parse(line.slice(DATA.length)) as T;
    }
  } finally {
    await reader.cancel();
  }
}

const DATA = "data:";
