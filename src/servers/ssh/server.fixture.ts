import { Client, type ConnectConfig } from "ssh2";
import { startSweeper } from "../../dataplanes/io/sweeper.ts";
import { makeSshKey } from "../../roles/relay/ssh/host-key.ts";
import { err, ok } from "../../wire/result.ts";
import type { SshConnection } from "./connection.ts";
import { SshServer } from "./server.ts";
import type { SshHandler } from "./service.ts";

/** A port that is refused. */
export const FORBIDDEN_PORT = 25;
export const FORBIDDEN = "Port 25 is not for you: choose another.";

/** A server on loopback that knows one key, and what happened at it. */
export interface TestServer extends Disposable {
  readonly port: number;
  readonly connections: SshConnection<string>[];
  /** Why connections ended. */
  readonly closed: string[];
  /** What the server took for a defect of its own. */
  readonly unexpected: unknown[];
  /** A client whose connection has come to `event`. */
  reach(event: "handshake" | "ready", more?: Partial<ConnectConfig>): Promise<Reached>;
}

export interface Reached extends Disposable {
  readonly client: Client;
  /** Resolves when the connection is gone. */
  readonly ended: Promise<void>;
}

export function startTestServer(more: Partial<SshHandler> = {}): TestServer {
  const abort = new AbortController();
  const key = makeSshKey("known");
  const known = Uint8Array.fromBase64(key.public.split(" ")[1] ?? "");
  const connections: SshConnection<string>[] = [];
  const closed: string[] = [];
  const unexpected: unknown[] = [];
  const handler: SshHandler = {
    forward: async ({ port }) => (port === FORBIDDEN_PORT ? err(FORBIDDEN) : ok(port)),
    cancelForward: async () => true,
    forwardSocket: async () => ok(null),
    cancelSocket: async () => false,
    dial: (_target, channel) => channel.reset("policy"),
    dialSocket: (_path, channel) => channel.reset("policy"),
    view: { lines: () => ["what is open"], counters: () => "0123456789".repeat(4) },
    closed: (why) => void closed.push(why),
    ...more,
  };
  const server = new SshServer<string>({
    hostname: "127.0.0.1",
    port: 0,
    hostKey: makeSshKey("host").private,
    version: "1.2.3",
    sweeper: startSweeper(abort.signal),
    nowMs: () => performance.now(),
    random: Math.random,
    find: async (credential) =>
      credential.kind === "key" && Buffer.compare(credential.key.blob, known) === 0 ? "ada" : null,
    serving: () => true,
    open(_, connection) {
      connections.push(connection);
      return handler;
    },
    onDenied: () => undefined,
    onUnexpected: (error) => void unexpected.push(error),
  });
  server.listen();
  return {
    port: server.port,
    connections,
    closed,
    unexpected,
    async reach(event, config = {}) {
      const client = new Client();
      const ended = new Promise<void>((resolve) => client.once("close", () => resolve()));
      const reached = new Promise<void>((resolve, reject) => {
        client.on("error", reject);
        if (event === "ready") client.once(event, () => resolve());
        else client.once(event, () => resolve());
      });
      client.connect({ host: "127.0.0.1", port: server.port, username: "x", privateKey: key.private, ...config });
      await reached;
      return { client, ended, [Symbol.dispose]: () => void client.end() };
    },
    [Symbol.dispose]() {
      server.close();
      abort.abort();
    },
  };
}
