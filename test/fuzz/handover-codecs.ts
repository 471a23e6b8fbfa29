import { decodeHandover, encodeHandover } from "../../src/wire/handover.ts";
import { type FuzzCodec, must, mustBeResult, text } from "./codec.ts";

/** What a process that takes over may send, or one that hands over. */
export const handover: readonly FuzzCodec[] = [
  {
    name: "handover",
    seeds: text(
      '{"t":"hello","v":1,"pid":7,"version":"0.2.0"}',
      '{"t":"yours","v":1,"version":"0.1.0","agentPort":7744,"ports":[{"protocol":"tcp","first":80,"last":81}],"devices":["a"]}',
      '{"t":"opened","device":"a","id":"web"}',
      '{"t":"stop","drainMs":10000}',
      '{"t":"released"}',
    ),
    check(input) {
      const decoded = decodeHandover(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      const again = decodeHandover(encodeHandover(decoded.value).subarray(0, -1));
      must(again.ok && Bun.deepEquals(again.value, decoded.value), "a message encodes to itself");
      return true;
    },
  },
];
