import { createSecureContext } from "node:tls";
import { type ByteEndHarness, describeByteEnd } from "../../../test/contract/byte-end.ts";
import { testAuthority } from "../../../test/fixtures/certificates.ts";
import { freePorts } from "../../../test/fixtures/free-ports.ts";
import { TlsClientEnd } from "../../../test/fixtures/tls-client-end.ts";
import type { ByteEnd } from "./ends.ts";
import { SILENT_SINK } from "./silent-sink.ts";
import { TcpEnd } from "./tcp-end.ts";

const authority = await testAuthority("CA of the ends");
const { certificatePem, keyPem } = await authority.issue({ names: ["a.example.org"] });
const context = createSecureContext({ cert: certificatePem, key: keyPem, minVersion: "TLSv1.2" });

describeByteEnd("TcpEnd in TLS", async (): Promise<ByteEndHarness> => {
  const waiting: ((end: TcpEnd) => void)[] = [];
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    data: {
      accepted: (end: TcpEnd) => {
        const next = waiting.shift();
        end.sink = {
          ...SILENT_SINK,
          onData: (hello) => {
            end.sink = SILENT_SINK;
            end.beginTls({ context, protocol: null }, hello);
            next?.(end);
          },
        };
      },
    },
    socket: TcpEnd.ACCEPT_HANDLERS,
  });
  const [closed = 0] = await freePorts(1);
  return {
    connect: async () => {
      const accepted = new Promise<ByteEnd>((resolve) => waiting.push(resolve));
      return { dialled: new TlsClientEnd(listener.port), accepted };
    },
    refused: () => new TlsClientEnd(closed),
    close: () => void listener.stop(true),
  };
});
