import type Protocol from "ssh2/lib/protocol/Protocol.js";
import { encodeStrings } from "../../wire/ssh/fields.ts";

/** RFC 4250 §4.1.2 */
const Message = { disconnect: 1, debug: 4 } as const;
const U32_BYTES = 4;
const NO_LANGUAGE = "";

/** RFC 4253 §11.1, with words, which clients show: ssh2's own message has none. */
export function sayGoodbye(peer: Protocol, code: number, words: string): void {
  const reason = Buffer.alloc(U32_BYTES);
  reason.writeUInt32BE(code);
  send(peer, Message.disconnect, Buffer.concat([reason, encodeStrings([words, NO_LANGUAGE])]));
}

/** RFC 4253 §11.3: OpenSSH shows it with `-v`, PuTTY in its event log. Not said while keys are exchanged. */
export function sayDebug(peer: Protocol, words: string): void {
  if (peer._kexinit !== undefined) return;
  const alwaysDisplay = Buffer.of(1);
  send(peer, Message.debug, Buffer.concat([alwaysDisplay, encodeStrings([words, NO_LANGUAGE])]));
}

/** At once, also in the middle of a key exchange. */
function send(peer: Protocol, type: number, fields: Uint8Array): void {
  const { write } = peer._packetRW;
  const packet = write.alloc(1 + fields.length, true);
  packet[write.allocStartKEX] = type;
  packet.set(fields, write.allocStartKEX + 1);
  peer._cipher.encrypt(write.finalize(packet, true));
}
