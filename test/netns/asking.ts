import { join } from "node:path";
import { decodeNatPmpResponse, encodeNatPmpRequest, type NatPmpResponse } from "../../src/wire/natpmp.ts";
import type { PcpResponse } from "../../src/wire/pcp/response.ts";
import type { Host, Lab } from "./lab.ts";

/** The mapping protocols as bytes on the wire, asked by clients of the gateway: every answer with its own code. */

const PCP_CLIENT = join(import.meta.dir, "peers/pcp-client.ts");
const BUN = [process.execPath, "--no-env-file", "--config=/dev/null"] as const;

export const gatewayOf = (lab: Lab, host: Host): string => (host === lab.agent ? "192.168.77.1" : "192.168.78.1");

/** Null = no answer: after six tries and 16 s, or after as many as said. */
export async function askNatPmp(
  lab: Lab,
  host: Host,
  map: {
    readonly protocol: "tcp" | "udp";
    readonly internal: number;
    readonly external: number;
    readonly lifetimeSec: number;
  } | null,
  tries = 6,
): Promise<NatPmpResponse | null> {
  const request =
    map === null
      ? encodeNatPmpRequest({ kind: "external-address" })
      : encodeNatPmpRequest({
          kind: "map",
          protocol: map.protocol,
          internalPort: map.internal,
          externalPort: map.external,
          lifetimeSec: map.lifetimeSec,
        });
  const answer = await pcpClient<string | null>(
    lab,
    host,
    gatewayOf(lab, host),
    "raw",
    request.toHex(),
    0,
    0,
    0,
    `tries=${tries}`,
  );
  if (answer === null) return null;
  const decoded = decodeNatPmpResponse(Uint8Array.fromHex(answer));
  if (!decoded.ok) throw new Error(`not a NAT-PMP answer: ${answer}`);
  return decoded.value;
}

/** Arguments as peers/pcp-client.ts takes them, from the operation on. Null = no answer. */
export function askPcp(lab: Lab, host: Host, ...args: readonly (string | number)[]): Promise<PcpResponse | null> {
  return pcpClient(lab, host, gatewayOf(lab, host), ...args);
}

export async function pcpClient<T>(lab: Lab, host: Host, ...args: readonly (string | number)[]): Promise<T> {
  await using child = lab.spawn(host, [...BUN, PCP_CLIENT, ...args.map(String)]);
  return (await child.event<{ answer: T }>("done")).answer;
}

/** The address of the IGD's description, as the gateway says it to a search on the host's own link. */
export async function igdLocation(lab: Lab, host: Host): Promise<string> {
  const search =
    'M-SEARCH * HTTP/1.1\\r\\nHOST: 239.255.255.250:1900\\r\\nMAN: "ssdp:discover"\\r\\nST: upnp:rootdevice\\r\\nMX: 1\\r\\n\\r\\n';
  for (let left = 5; left > 0; left--) {
    const script = `printf '${search}' | socat -t 1 - UDP4-DATAGRAM:${gatewayOf(lab, host)}:1900`;
    const found = (await lab.exec(host, ["sh", "-c", script])).stdout.match(/LOCATION: *(\S+)/i)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error("the gateway does not answer a search");
}

/** Of AddPortMapping and AddAnyPortMapping, in the standard's order. */
export interface PortMappingArgs {
  readonly external: number;
  readonly protocol: "TCP" | "UDP";
  readonly internal: number;
  readonly client: string;
  readonly leaseSec?: number;
  readonly description?: string;
}

export interface SoapAnswer {
  /** A UPnP error; 0 = it was done. */
  readonly code: number;
  readonly body: string;
}

/** Calls an action of WANIPConnection in version 1 or 2; a gateway that is of version 1 for the caller knows 1 only. */
export async function askIgd(
  lab: Lab,
  host: Host,
  location: string,
  version: 1 | 2,
  action: string,
  args: Readonly<Record<string, string | number>> = {},
): Promise<SoapAnswer> {
  const type = `urn:schemas-upnp-org:service:WANIPConnection:${version}`;
  const texts = Object.entries(args).map(([name, value]) => `<${name}>${value}</${name}>`);
  const envelope = `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:${action} xmlns:u="${type}">${texts.join("")}</u:${action}></s:Body></s:Envelope>`;
  const { stdout, exitCode } = await lab.exec(host, [
    "curl",
    "-sS",
    "-m",
    "5",
    "-H",
    `SOAPAction: "${type}#${action}"`,
    "-H",
    'Content-Type: text/xml; charset="utf-8"',
    "-A",
    version === 1 ? "Microsoft-Windows/10.0 UPnP/1.0" : "test",
    "--data-binary",
    envelope,
    location.replace(/rootDesc\.xml$/, "ctl/WANIPConnection"),
  ]);
  if (exitCode !== 0) throw new Error(`${action}: curl ended with ${exitCode}`);
  return { code: Number(stdout.match(/<errorCode>(\d+)</)?.[1] ?? 0), body: stdout };
}

export function portMapping(args: PortMappingArgs): Record<string, string | number> {
  return {
    NewRemoteHost: "",
    NewExternalPort: args.external,
    NewProtocol: args.protocol,
    NewInternalPort: args.internal,
    NewInternalClient: args.client,
    NewEnabled: 1,
    NewPortMappingDescription: args.description ?? "a test",
    NewLeaseDuration: args.leaseSec ?? 600,
  };
}
