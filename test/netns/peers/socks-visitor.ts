/**
 * Asks DNS over SOCKS5's UDP ASSOCIATE (RFC 1928 section 7): `bun socks-visitor.ts PROXY-HOST PROXY-PORT DNS-HOST DNS-PORT NAME`.
 * Prints `{"event":"done", reply, address, from}`: the proxy's reply code, the answer, and the source that the proxy names.
 */
import { say } from "./bytes.ts";
import { answeredAddress, dnsQuery } from "./dns.ts";

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const UDP_ASSOCIATE = 3;
const ADDRESS_V4 = 1;
const ADDRESS_V6 = 4;
const REPLY_BYTES = { [ADDRESS_V4]: 10, [ADDRESS_V6]: 22 } as const;
const UDP_HEADER_V4_BYTES = 10;
const TRY_MS = 500;
const TRIES = 10;
const QUERY_ID = 0x4857;

const [proxyHost = "", proxyPort = "", dnsHost = "", dnsPort = "", name = ""] = process.argv.slice(2);

interface Association {
  readonly reply: number;
  readonly port: number;
}

/** Opens the association; the TCP connection stays open until the process ends, as the association needs. */
function associate(): Promise<Association> {
  let received = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    Bun.connect({
      hostname: proxyHost,
      port: Number(proxyPort),
      socket: {
        open: (socket) => void socket.write(Buffer.from([VERSION, 1, NO_AUTHENTICATION])),
        data(socket, bytes) {
          const greeted = received.length >= 2;
          received = Buffer.concat([received, bytes]);
          if (!greeted && received.length >= 2) {
            socket.write(Buffer.from([VERSION, UDP_ASSOCIATE, 0, ADDRESS_V4, 0, 0, 0, 0, 0, 0]));
          }
          const reply = received.subarray(2);
          const length = reply.length > 3 ? REPLY_BYTES[reply[3] === ADDRESS_V6 ? ADDRESS_V6 : ADDRESS_V4] : Infinity;
          if (reply.length >= length) resolve({ reply: reply[1]!, port: reply.readUInt16BE(length - 2) });
        },
        close: () => reject(new Error("the proxy closed the connection")),
        connectError: (_, error) => reject(error),
      },
    }).catch(reject);
  });
}

function udpHeader(host: string, port: number): Buffer {
  const octets = host.split(".").map(Number);
  return Buffer.from([0, 0, 0, ADDRESS_V4, ...octets, port >> 8, port & 0xff]);
}

const association = await associate();
if (association.reply !== 0) {
  say({ event: "done", reply: association.reply, address: null, from: null });
  process.exit(0);
}
let deliver: (datagram: Buffer) => void = () => {};
const answered = new Promise<Buffer>((resolve) => {
  deliver = resolve;
});
const socket = await Bun.udpSocket({
  hostname: "0.0.0.0",
  socket: { data: (_, datagram) => deliver(Buffer.from(datagram)) },
});
const request = Buffer.concat([udpHeader(dnsHost, Number(dnsPort)), dnsQuery(QUERY_ID, name)]);
let answer: Buffer | null = null;
for (let attempt = 0; attempt < TRIES && answer === null; attempt++) {
  socket.send(request, association.port, proxyHost);
  answer = await Promise.race([answered, Bun.sleep(TRY_MS).then(() => null)]);
}
const from = answer === null ? null : `${[...answer.subarray(4, 8)].join(".")}:${answer.readUInt16BE(8)}`;
const dns = answer?.subarray(UDP_HEADER_V4_BYTES);
say({ event: "done", reply: 0, address: dns?.readUInt16BE(0) === QUERY_ID ? answeredAddress(dns) : null, from });
process.exit(0);
