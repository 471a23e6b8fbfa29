/** Takes what a webhook sends: `bun webhook-server.ts PORT`; one JSON line a request, with its headers and its body. */
import { say } from "./bytes.ts";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2] ?? 0),
  async fetch(request) {
    const { headers } = request;
    say({
      event: "request",
      method: request.method,
      id: headers.get("Hatchway-Event-Id"),
      signature: headers.get("Hatchway-Signature"),
      body: await request.text(),
    });
    return new Response(null, { status: 204 });
  },
});
say({ event: "ready", port: server.port });
