import { decodeControl, encodeControl } from "../../src/wire/tunnel/control.ts";
import { decodeHeader, encodeHeader, FrameParser, FrameType, HEADER_BYTES } from "../../src/wire/tunnel/frame.ts";
import { decodeOpen, encodeOpen } from "../../src/wire/tunnel/open.ts";
import { type FuzzCodec, hex, must, mustBeResult, mustBeSmall, mustEqual, streamCodec, text } from "./codec.ts";

const openForward = "01 00000007 2288 04 c0000207 9c40 10 20010db8000000000000000000000007 2288";
const openDial = "02 03 6e6173 0a 64622e6578616d706c65 1538 04 c0000207 9c40 04 c0000207 9c40";

/** Before a peer has proved itself, as a carrier's parser begins. */
const UNTRUSTED_PAYLOAD = 8192;

export const tunnel: readonly FuzzCodec[] = [
  {
    name: "tunnel-header",
    seeds: hex(
      "04 000001 00000002",
      "07 000004 ffffffff",
      "0e 000010 00000000",
      "04 040000 00000001",
      "63 000000 00000000",
    ),
    check(input) {
      if (input.length < HEADER_BYTES) return false;
      const decoded = decodeHeader(input, 0);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      const again = new Uint8Array(HEADER_BYTES);
      encodeHeader(again, 0, decoded.value.type, decoded.value.id, decoded.value.length);
      mustEqual(again, input.slice(0, HEADER_BYTES), "a header encodes to itself");
      return true;
    },
  },
  streamCodec({
    name: "tunnel-frames",
    seeds: hex(
      `01 000025 00000002 ${openForward} 04 000003 00000002 616263 05 000000 00000002`,
      `09 000023 00000001 ${openDial} 0a 000000 00000001 0a 000002 00000001 6869 0b 000001 00000001 0e`,
      "0c 000008 00000000 0102030405060708 07 000004 00000002 00040000 08 000001 00000002 02",
      "04 000000 00000002",
      "0e 100000 00000000 7b7d",
    ),
    feed(chunks) {
      const parser = new FrameParser(UNTRUSTED_PAYLOAD);
      const outcome: { type: number; id: number; payload: string }[] = [];
      let error = null;
      for (const chunk of chunks) {
        error = parser.push(chunk, {
          onDataPart(id, part) {
            must(part.length > 0, "a part of DATA has bytes");
            const last = outcome.at(-1);
            const bytes = Buffer.from(part).toString("hex");
            // Where DATA is cut is the carrier's affair: parts and frames of one stream in a row are the same bytes.
            if (last?.type === FrameType.data && last.id === id) last.payload += bytes;
            else outcome.push({ type: FrameType.data, id, payload: bytes });
          },
          onFrame(type, id, payload) {
            must(type !== FrameType.data, "DATA comes in parts");
            outcome.push({ type, id, payload: Buffer.from(payload).toString("hex") });
          },
        });
        if (error !== null) break;
      }
      return { accepted: error === null && outcome.length > 0, outcome: { outcome, error } };
    },
  }),
  {
    name: "tunnel-open",
    seeds: hex(openForward, openDial, "02 00 00 0000 04 00000000 0000 04 00000000 0000", "01 00"),
    check(input) {
      const decoded = decodeOpen(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      const encoded = encodeOpen(decoded.value);
      if (!encoded.ok) throw new Error("a decoded OPEN encodes");
      mustBeSmall(encoded.value.length, input.length);
      mustEqual(decodeOpen(encoded.value), decoded, "decoding what was encoded");
      return true;
    },
  },
  {
    name: "tunnel-control",
    seeds: text(
      '{"t":"hello","v":1,"role":"bulk","key":"AAAA","sig":"BBBB","session":"s","index":2,"version":"0.1.0"}',
      '{"t":"welcome","v":1,"session":"s","device":"nas","account":"main","publicHost":"h","carriers":{"light":1,"bulk":2,"datagram":1}}',
      '{"t":"put","rid":1,"handle":1,"spec":{"id":"f","name":"web","group":null,"ports":[{"protocol":"tcp","first":80,"last":81,"internalFirst":80}],"options":{"source":{"allow":["192.0.2.0/24"],"deny":[]},"limits":{"connections":3},"proxyProtocol":"v2","tcpIdleSec":null,"halfCloseIdleSec":300,"udpIdleSec":120,"healthCheck":null},"enabled":true,"lifetimeSec":600}}',
      '{"t":"result","rid":1,"outcome":{"kind":"open","endpoints":[{"protocol":"udp","host":"h","port":53,"lastPort":53,"internalPort":53}]}}',
      '{"t":"result","rid":1,"outcome":{"kind":"stats","forwards":[{"id":"f","visitors":1,"open":0,"bytesIn":2,"bytesOut":3,"refused":{"idle":1},"trouble":{"state":"refused","message":"m"}}]}}',
      '{"t":"sync","rid":3,"ids":["a","b"]}',
      '{"t":"check","rid":4,"target":{"kind":"own","addresses":["192.0.2.7"],"protocol":"udp","port":53,"probe":"dns","nonce":"AAAAAAAAAAAAAAAAAAAAAA"},"pad":"..."}',
      '{"t":"check","rid":4,"target":{"kind":"forward","id":"f","protocol":"tcp","port":80}}',
      '{"t":"result","rid":4,"outcome":{"kind":"check","address":"192.0.2.7","probe":{"saw":"open","from":"198.51.100.1","elapsedMs":1,"fits":null},"entry":{"state":"open","allowsAsker":true,"visitors":1,"refused":{"idle":1}}}}',
      '{"t":"bye","why":"takeover"}',
      '{"t":"denied","retrySec":1}',
    ),
    check(input) {
      const decoded = decodeControl(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      mustEqual(decodeControl(encodeControl(decoded.value)), decoded, "decoding what was encoded");
      return true;
    },
  },
];
