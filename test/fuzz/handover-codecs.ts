import { decodeCarried, encodeCarried } from "../../src/wire/carried.ts";
import { decodeHandover, encodeHandover } from "../../src/wire/handover.ts";
import { type FuzzCodec, must, mustBeResult, text } from "./codec.ts";

/** What a process that takes over may send, or one that hands over, or carries SSH clients. */
export const handover: readonly FuzzCodec[] = [
  {
    name: "handover",
    seeds: text(
      '{"t":"hello","v":1,"pid":7,"version":"0.2.0"}',
      '{"t":"yours","v":1,"version":"0.1.0","agentPort":7744,"ports":[{"protocol":"tcp","first":80,"last":81}],"devices":["a"],"bySsh":["b"],"servers":true}',
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
  {
    name: "carried SSH clients",
    seeds: text(
      '{"t":"hello","v":1}',
      '{"t":"here","client":1,"device":"d","key":null,"visitor":{"address":"203.0.113.7","port":9},"entry":{"address":"::1","port":22},"forwards":[{"id":"ssh-80","port":80,"bind":""}],"sockets":["/web"]}',
      '{"t":"forward","client":1,"request":2,"bind":"localhost","port":0}',
      '{"t":"opened","client":1,"request":2,"id":"ssh-any-1","port":20000}',
      '{"t":"ready","client":1,"counts":true}',
      '{"t":"counted","client":1,"visitorsTotal":3,"visitorsOpen":1,"bytesIn":70,"bytesOut":9000}',
      '{"t":"end","client":1,"why":"its key was removed"}',
    ),
    check(input) {
      const decoded = decodeCarried(input);
      mustBeResult(decoded);
      if (!decoded.ok) return false;
      const again = decodeCarried(encodeCarried(decoded.value));
      must(again.ok && Bun.deepEquals(again.value, decoded.value), "a message encodes to itself");
      return true;
    },
  },
];
