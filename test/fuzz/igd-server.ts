import { drainMicrotasks } from "bun:jsc";
import { type Answering, answerRequest } from "../../src/servers/igd/answer.ts";
import { identityOf } from "../../src/servers/igd/identity.ts";
import { PinholeNumbers } from "../../src/servers/igd/pinhole-numbers.ts";
import { newSite } from "../../src/servers/igd/site.ts";
import { SsdpAnswers } from "../../src/servers/igd/ssdp-answers.ts";
import { encodeHttpResponse, newHttpRequestReader } from "../../src/wire/igd/http.ts";
import { decodeSoapReply } from "../../src/wire/igd/soap.ts";
import { decodeSearchReply } from "../../src/wire/igd/ssdp.ts";
import { UPNP_ERRORS } from "../../src/wire/igd/upnp-error.ts";
import { FakeDesk } from "../fixtures/fake-desk.ts";
import { SEARCH_SAMPLES, SOAP_SAMPLES } from "../fixtures/igd/requests.ts";
import { cut, type FuzzCodec, latin1, must, mustEqual } from "./codec.ts";

/** The IGD server as a whole: from the bytes of a client to those it gets, the desk in memory. */
const identity = identityOf("fuzz");
const BASE = `/${identity.urlToken}`;
const LOCAL = { address: "192.168.1.1", port: 5000 };
const REQUESTER = "192.168.1.5";
const site = newSite({ identity, friendlyName: "fuzz", programVersion: "1", presentationUrl: null });
const CODES: ReadonlySet<number> = new Set(Object.values(UPNP_ERRORS).map(({ code }) => code));
/** The longest description has 14 KB. */
const MAX_RESPONSE_BYTES = 32 * 1024;

const post = (
  { soapAction, body }: { soapAction: string; body: string },
  framing: (body: string) => string,
): string => {
  const service = /service:(\w+):/.exec(soapAction)?.[1] ?? "WANIPConnection";
  return `POST ${BASE}/ctl/${service} HTTP/1.1\r\nHost: 192.168.1.1:5000\r\nSOAPAction: ${soapAction}\r\n${framing(body)}`;
};
const sized = (body: string): string => `Content-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (body: string): string =>
  `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
const [sample] = SOAP_SAMPLES;
/** CVE-2026-5720, and its neighbours. */
const brokenActions = ['"', "'", '"#"', "#"].map((soapAction) => post({ ...sample!, soapAction }, sized));

function read(chunks: readonly Uint8Array[]) {
  const reader = newHttpRequestReader();
  for (const chunk of chunks) {
    const result = reader.push(chunk);
    if (!result.ok) return result.error;
    if (result.value !== null) return result.value;
  }
  return null;
}

function checkHttp(input: Uint8Array): boolean {
  const request = read([input]);
  mustEqual(read(cut(input)), request, "a request in pieces");
  if (request === null || "status" in request) return false;
  const problems: unknown[] = [];
  const answering: Answering = {
    site,
    gateway: {
      desk: new FakeDesk({ inside: ["192.168.1.0/24"], own: [LOCAL.address], rules: ["allow * * *"] }),
      pinholeNumbers: new PinholeNumbers(),
      pinholesAllowed: true,
      upBitsPerSec: 1,
      downBitsPerSec: 1,
      outboundTimeoutSec: { tcp: 1, udp: 1 },
      wanConnectionUuid: identity.uuids.wanConnection,
    },
    highest: 2,
    serverName: "fuzz/1",
    onRefused: (message) => must(message.length < 1000, "a refusal is a sentence"),
    onFailed: (error) => problems.push(error),
  };
  const promise = answerRequest(request, REQUESTER, LOCAL, answering);
  drainMicrotasks();
  const response = Bun.peek(promise);
  must(!(response instanceof Promise), "the answer is there at once");
  mustEqual(problems, [], "no failure of the gateway itself");
  must(encodeHttpResponse(response).length <= MAX_RESPONSE_BYTES, "a bounded answer");
  if (response.status === 500) {
    const fault = decodeSoapReply("", response.body);
    const code = fault.ok && fault.value.kind === "fault" ? fault.value.code : null;
    must(code !== null && CODES.has(code), "a fault has a code");
  }
  return response.status === 200 || response.status === 500;
}

function checkSearch(input: Uint8Array): boolean {
  const answers = new SsdpAnswers(
    {
      uuids: identity.uuids,
      highest: 2,
      serverName: "fuzz/1",
      bootId: 1,
      configId: site.configId,
      location: (address) => `http://${address}:5000${site.devicePath}`,
      random: () => 0.999,
    },
    0,
  );
  const answer = answers.answer(input, REQUESTER, LOCAL.address, true, 0);
  if (answer === null) return false;
  must(answer.delayMs >= 0 && answer.delayMs <= 5000, "a bounded wait");
  must(answer.datagrams.length > 0 && answer.datagrams.length <= 11, "a bounded number of answers");
  for (const datagram of answer.datagrams) {
    must(datagram.length < 600, "a small answer");
    must(decodeSearchReply(datagram).ok, "an answer that can be read");
  }
  return true;
}

export const igdServer: readonly FuzzCodec[] = [
  {
    name: "igd-server-http",
    seeds: latin1(
      ...SOAP_SAMPLES.map((one) => post(one, sized)),
      post(sample!, chunked),
      ...brokenActions,
      `GET ${BASE}/rootDesc.xml HTTP/1.1\r\nHost: 192.168.1.1:5000\r\nUser-Agent: Microsoft-Windows/10.0\r\n\r\n`,
      `SUBSCRIBE ${BASE}/rootDesc.xml HTTP/1.1\r\nHost: 192.168.1.1:5000\r\nCALLBACK: <http://192.0.2.1/>\r\n\r\n`,
      `POST ${BASE}/ctl/WANIPConnection HTTP/1.1\r\nContent-Length: -1\r\n\r\n`,
    ),
    check: checkHttp,
  },
  {
    name: "igd-server-ssdp",
    seeds: latin1(
      ...SEARCH_SAMPLES.map(({ datagram }) => datagram),
      'M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\nST: ssdp:all\r\nMX: 5\r\n\r\n',
      `M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\nST: uuid:${identity.uuids.root}\r\nMX: 1\r\nUSER-AGENT: FDSSDP\r\n\r\n`,
    ),
    check: checkSearch,
  },
];
