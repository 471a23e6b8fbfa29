const HEADER_BYTES = 12;
const FLAGS_ANSWER = 0x8180;
const TYPE_A = 1;
const TYPE_AAAA = 28;
/** What every name resolves to here. */
export const DNS_ANSWER_V4 = "192.0.2.53";
const ANSWER_V4 = [192, 0, 2, 53];
const ANSWER_V6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53];

/** RFC 1035 section 4.1: the answer to a query with one question. */
export function answerDns(query: Buffer): Buffer {
  let end = HEADER_BYTES;
  while (query[end] !== 0) end += query[end]! + 1;
  const type = query.readUInt16BE(end + 1);
  const question = query.subarray(HEADER_BYTES, end + 5);
  const address = type === TYPE_A ? ANSWER_V4 : type === TYPE_AAAA ? ANSWER_V6 : [];
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(FLAGS_ANSWER, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(address.length > 0 ? 1 : 0, 6);
  const pointerToName = [0xc0, HEADER_BYTES];
  const answer =
    address.length > 0 ? [...pointerToName, 0, type, 0, 1, 0, 0, 0, 60, 0, address.length, ...address] : [];
  return Buffer.concat([header, question, Buffer.from(answer)]);
}

/** A query for the A record of `name`. */
export function dnsQuery(id: number, name: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, TYPE_A, 0, 1])]);
}

/** The IPv4 address at the end of an answer by `answerDns`. */
export function answeredAddress(answer: Buffer): string {
  return [...answer.subarray(-4)].join(".");
}
