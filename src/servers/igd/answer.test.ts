import { describe, expect, test } from "bun:test";
import { FakeDesk } from "../../../test/fixtures/fake-desk.ts";
import { SOAP_SAMPLES } from "../../../test/fixtures/igd/requests.ts";
import { type HttpResponse, newHttpRequestReader } from "../../wire/igd/http.ts";
import type { IgdVersion } from "../../wire/igd/services.ts";
import { type Answering, answerRequest, answerUnreadable } from "./answer.ts";
import { versionFor } from "./client-version.ts";
import { identityOf } from "./identity.ts";
import { PinholeNumbers } from "./pinhole-numbers.ts";
import { newSite } from "./site.ts";

const LOCAL = { address: "192.168.77.1", port: 5000 };
const HOST = "Host: 192.168.77.1:5000";
const WINDOWS = "User-Agent: Microsoft-Windows/10.0 UPnP/1.0";
const identity = identityOf("a seed");
const BASE = `/${identity.urlToken}`;
const IPC = "urn:schemas-upnp-org:service:WANIPConnection";

class Server {
  readonly desk = new FakeDesk({ inside: ["192.168.77.0/24", "192.168.1.0/24"], rules: ["allow * * *"] });
  readonly refused: string[] = [];
  readonly failed: unknown[] = [];
  readonly answering: Answering;

  constructor(highest: IgdVersion = 2) {
    this.answering = {
      site: newSite({ identity, friendlyName: "a <name>", programVersion: "1.2.3", presentationUrl: null }),
      gateway: {
        desk: this.desk,
        pinholeNumbers: new PinholeNumbers(),
        pinholesAllowed: true,
        upBitsPerSec: 1,
        downBitsPerSec: 1,
        outboundTimeoutSec: { tcp: 1, udp: 1 },
        wanConnectionUuid: identity.uuids.wanConnection,
      },
      highest,
      serverName: "S/1",
      onRefused: (message) => this.refused.push(message),
      onFailed: (error) => this.failed.push(error),
    };
  }

  async ask(raw: string, local = LOCAL, requester = "192.168.77.2"): Promise<HttpResponse & { text: string }> {
    const request = newHttpRequestReader().push(Buffer.from(raw));
    const response =
      request.ok && request.value !== null
        ? await answerRequest(request.value, requester, local, this.answering)
        : answerUnreadable(request.ok ? { status: 400 } : request.error, "S/1");
    return { ...response, text: Buffer.from(response.body).toString() };
  }
}

const get = (path: string, ...headers: readonly string[]): string =>
  `GET ${path} HTTP/1.1\r\n${headers.map((header) => `${header}\r\n`).join("")}\r\n`;
const post = (path: string, body: string, ...headers: readonly string[]): string =>
  `POST ${path} HTTP/1.1\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers.map((header) => `${header}\r\n`).join("")}\r\n${body}`;
const soap = (service: string, action: string, args = ""): string =>
  `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:${action} xmlns:u="${service}">${args}</u:${action}></s:Body></s:Envelope>`;
const call = (service: string, action: string, path: string, ...headers: readonly string[]): string =>
  post(`${BASE}/ctl/${path}`, soap(service, action), HOST, `SOAPAction: "${service}#${action}"`, ...headers);

const root = `${BASE}/rootDesc.xml`;
const control = `${BASE}/ctl/WANIPConnection`;
const body = soap(`${IPC}:1`, "GetExternalIPAddress");
const action = `SOAPAction: "${IPC}:1#GetExternalIPAddress"`;

describe("who gets an answer", () => {
  const table: readonly (readonly [name: string, request: string, status: number])[] = [
    ["the address and port", get(root, HOST), 200],
    ["the address alone", get(root, "Host: 192.168.77.1"), 200],
    ["HTTP/1.0 without a host", `GET ${root} HTTP/1.0\r\n\r\n`, 200],
    ["HTTP/1.1 without a host", get(root), 403],
    ["a name (DNS rebinding)", get(root, "Host: gateway.example:5000"), 403],
    ["a name that looks like an address", get(root, "Host: 192.168.77.1.example:5000"), 403],
    ["an address in another notation", get(root, "Host: 3232255233:5000"), 403],
    ["another address of ours", get(root, "Host: 192.168.78.1:5000"), 403],
    ["another port", get(root, "Host: 192.168.77.1:80"), 403],
    ["an empty host", get(root, "Host:"), 403],
    ["two hosts", get(root, HOST, HOST), 400],
    ["a page of a browser", get(root, HOST, "Origin: null"), 403],
    ["a page that calls an action", post(control, body, HOST, action, "Origin: http://192.168.77.1:5000"), 403],
    ["a page that asks whether it may", `OPTIONS ${control} HTTP/1.1\r\n${HOST}\r\n\r\n`, 405],
  ];
  test.each(table)("%s", async (_name, request, status) => {
    const response = await new Server().ask(request);
    expect(response.status).toBe(status as never);
    if (status !== 200) expect(response.text).toBe("");
  });

  test("an IPv6 address in any notation", async () => {
    const local = { address: "fd00:77::1", port: 5000 };
    for (const [host, status] of [
      ["[fd00:77::1]:5000", 200],
      ["[FD00:77:0::0:1]:5000", 200],
      ["[fd00:78::1]:5000", 403],
      ["fd00:77::1", 403],
    ] as const) {
      expect((await new Server().ask(get(root, `Host: ${host}`), local)).status).toBe(status);
    }
  });
});

describe("paths and methods", () => {
  const request = (method: string, path: string): string => `${method} ${path} HTTP/1.1\r\n${HOST}\r\n\r\n`;
  const table: readonly (readonly [name: string, request: string, status: number, allow?: string])[] = [
    ["no description without the secret part", request("GET", "/rootDesc.xml"), 404],
    ["no path at all", request("GET", "/"), 404],
    ["a path that climbs", request("GET", `${BASE}/../${identity.urlToken}/rootDesc.xml`), 404],
    ["a query", request("GET", `${root}?x`), 404],
    ["another case", request("GET", root.toUpperCase()), 404],
    ["a service", request("GET", `${BASE}/WANIPConnection.xml`), 200],
    ["HEAD", request("HEAD", root), 200],
    ["GET on a control URL", request("GET", control), 405, "POST"],
    ["POST on a description", post(root, body, HOST, action), 405, "GET, HEAD"],
    ["POST to nothing", post("/ctl/WANIPConnection", body, HOST, action), 404],
    ["SUBSCRIBE where an empty eventSubURL leads", request("SUBSCRIBE", root), 501],
    ["SUBSCRIBE to a control URL", request("SUBSCRIBE", control), 501],
    ["UNSUBSCRIBE", request("UNSUBSCRIBE", root), 501],
    ["SUBSCRIBE elsewhere", request("SUBSCRIBE", "/evt/WANIPConnection"), 404],
    ["PUT", request("PUT", root), 405, "GET, HEAD"],
    ["M-POST", request("M-POST", control), 405, "POST"],
  ];
  test.each(table.map(([name, ...row]) => [name, row] as const))("%s", async (_name, [raw, status, allow]) => {
    const response = await new Server().ask(raw);
    expect(response.status).toBe(status as never);
    expect(new Map(response.headers).get("Allow")).toBe(allow);
  });
});

describe("calls", () => {
  const headers = { "Content-Type": 'text/xml; charset="utf-8"', EXT: "", SERVER: "S/1" };
  test("one that succeeds", async () => {
    const response = await new Server().ask(post(control, body, HOST, action));
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toEqual(headers);
    expect(response.text).toContain(
      `<u:GetExternalIPAddressResponse xmlns:u="${IPC}:1"><NewExternalIPAddress>203.0.113.20</NewExternalIPAddress>`,
    );
  });

  const refusals: readonly (readonly [name: string, request: string, expected: number | "400"])[] = [
    ["no SOAPAction", post(control, body, HOST), "400"],
    ["a lone quote (CVE-2026-5720)", post(control, body, HOST, 'SOAPAction: "'), "400"],
    ["a lone apostrophe", post(control, body, HOST, "SOAPAction: '"), "400"],
    ["half a quote", post(control, body, HOST, `SOAPAction: "${IPC}:1#GetExternalIPAddress`), "400"],
    ["an empty SOAPAction", post(control, body, HOST, "SOAPAction:"), "400"],
    ["no body", post(control, "", HOST, action), "400"],
    ["half a body", post(control, body.slice(0, 100), HOST, action), "400"],
    ["a document type", post(control, `<!DOCTYPE a [<!ENTITY b "c">]>${body}`, HOST, action), "400"],
    ["deep XML", post(control, "<a>".repeat(500), HOST, action), "400"],
    ["not UTF-8", post(control, "\u00ff", HOST, action).replace("\u00c3", ""), "400"],
    ["another action in the header", post(control, body, HOST, `SOAPAction: "${IPC}:1#ForceTermination"`), 401],
    ["an unknown action", call(`${IPC}:1`, "Explode", "WANIPConnection"), 401],
    ["a name of every object", call(`${IPC}:1`, "constructor", "WANIPConnection"), 401],
    ["an unknown service", call("urn:x:service:Y:1", "GetExternalIPAddress", "WANIPConnection"), 401],
    ["a version that does not exist", call(`${IPC}:3`, "GetExternalIPAddress", "WANIPConnection"), 401],
    ["an action of version 2 by version 1's name", call(`${IPC}:1`, "GetListOfPortMappings", "WANIPConnection"), 401],
    ["another service's URL", call(`${IPC}:1`, "GetExternalIPAddress", "Layer3Forwarding"), 401],
    ["an argument missing", call(`${IPC}:1`, "DeletePortMapping", "WANIPConnection"), 402],
    [
      "an argument twice",
      post(
        control,
        soap(`${IPC}:1`, "GetGenericPortMappingEntry", "<NewPortMappingIndex>0</NewPortMappingIndex>".repeat(2)),
        HOST,
        `SOAPAction: "${IPC}:1#GetGenericPortMappingEntry"`,
      ),
      402,
    ],
    ["what the desk refuses", call(`${IPC}:1`, "ForceTermination", "WANIPConnection"), 606],
  ];
  test.each(refusals)("%s", async (_name, request, expected) => {
    const response = await new Server().ask(request);
    if (expected === "400") {
      expect([response.status, response.text]).toEqual([400, ""]);
      return;
    }
    expect(response.status).toBe(500);
    expect(Object.fromEntries(response.headers)).toEqual(headers);
    expect(response.text).toContain(`<errorCode>${expected}</errorCode>`);
  });

  test.each(SOAP_SAMPLES.filter(({ body }) => body.includes("AddPortMapping")))(
    "$name is understood",
    async (sample) => {
      const server = new Server();
      const client = /<NewInternalClient[^>]*>([^<]+)</.exec(sample.body)?.[1] ?? "192.168.77.2";
      const response = await server.ask(
        post(control, sample.body, HOST, `SOAPAction: ${sample.soapAction}`),
        LOCAL,
        client,
      );
      expect(response.text).toContain("AddPortMappingResponse");
      expect(server.desk.list(client)).toHaveLength(1);
    },
  );

  test("why a client was refused is told, and not to the client", async () => {
    const server = new Server();
    const response = await server.ask(call(`${IPC}:2`, "ForceTermination", "WANIPConnection"));
    expect(server.refused).toEqual(["192.168.77.2 asked to end the gateway's connection."]);
    expect(response.text).not.toContain("192.168.77.2");
  });

  test("a gateway that fails says 501, and why to the operator only", async () => {
    const server = new Server();
    server.desk.gate = () => Promise.reject(new Error("the disk is full"));
    const response = await server.ask(
      call("urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1", "GetTotalBytesSent", "WANCommonInterfaceConfig"),
    );
    expect(response.text).toContain("<errorCode>501</errorCode>");
    expect(response.text).not.toContain("disk");
    expect(String(server.failed[0])).toContain("disk is full");
  });
});

describe("what the gateway is to a client", () => {
  const table: readonly (readonly [userAgent: string | null, version: IgdVersion])[] = [
    [null, 2],
    ["", 2],
    ["Debian/bookworm/sid, UPnP/1.1, MiniUPnPc/2.2.4", 2],
    ["MSWindows/6.1.7601, UPnP/1.0, MiniUPnPc/1.6", 2],
    ["Microsoft-Windows/10.0 UPnP/1.0", 1],
    ["Mozilla/4.0 (compatible; UPnP/1.0; Windows 9x) MICROSOFT", 1],
    ["FDSSDP", 1],
    ["Xbox/2.0.17559.0 UPnP/1.0 Xbox/2.0.17559.0", 1],
  ];
  test.each(table)("%j", (userAgent, version) => {
    expect(versionFor(userAgent, 2)).toBe(version);
    expect(versionFor(userAgent, 1)).toBe(1);
  });

  test("version 1 has nothing of version 2", async () => {
    for (const server of [new Server(), new Server(1)]) {
      const device = await server.ask(get(root, HOST, WINDOWS));
      expect(device.text).toContain("device:InternetGatewayDevice:1<");
      expect(device.text).not.toMatch(/:2<|IPv6|configId/);
      const service = await server.ask(get(`${BASE}/WANIPConnection.xml`, HOST, WINDOWS));
      expect(service.text).toContain("<name>AddPortMapping</name>");
      expect(service.text).not.toMatch(/AddAnyPortMapping|DeletePortMappingRange|GetListOfPortMappings|Manage/);
      expect((await server.ask(get(`${BASE}/WANIPv6FirewallControl.xml`, HOST, WINDOWS))).status).toBe(404);
      const any = await server.ask(call(`${IPC}:2`, "AddAnyPortMapping", "WANIPConnection", WINDOWS));
      expect(any.text).toContain("<errorCode>401</errorCode>");
    }
  });

  test("version 2 has all of it, and no events", async () => {
    const server = new Server();
    const device = await server.ask(get(root, HOST));
    expect(device.text).toContain("device:InternetGatewayDevice:2<");
    expect(device.text).toContain("<friendlyName>a &lt;name&gt;</friendlyName>");
    expect(device.text.match(/<eventSubURL><\/eventSubURL>/g)).toHaveLength(4);
    const urls = [...device.text.matchAll(/<(?:SCPDURL|controlURL)>([^<]+)</g)].map((match) => match[1]!);
    expect(urls).toHaveLength(8);
    for (const url of urls) {
      const response = await server.ask(get(url, HOST));
      expect(response.status).toBe(url.includes("/ctl/") ? 405 : 200);
      expect(response.text).not.toContain('sendEvents="yes"');
    }
  });
});

describe("the identity", () => {
  test("is the same as long as the seed is, and tells nothing of it", () => {
    expect(identityOf("a seed")).toEqual(identity);
    const other = identityOf("another seed");
    const texts = ({ uuids, urlToken }: typeof identity): string[] => [...Object.values(uuids), urlToken];
    expect(new Set([...texts(identity), ...texts(other)]).size).toBe(8);
    for (const uuid of Object.values(identity.uuids)) {
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
    expect(identity.urlToken).toMatch(/^[0-9a-f]{24}$/);
  });

  test("CONFIGID is another when the description is another", () => {
    const site = (friendlyName: string): number =>
      newSite({ identity, friendlyName, programVersion: "1", presentationUrl: null }).configId;
    expect(site("a")).toBe(site("a"));
    expect(site("a")).not.toBe(site("b"));
    expect(site("a")).toBeWithin(0, 2 ** 24);
  });
});
