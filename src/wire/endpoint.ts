/** An IP address (canonical text, RFC 5952 for IPv6; IPv4-mapped forms unmapped) and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A name or an IP literal, and a port: what a person writes, before resolution. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `192.0.2.1:80`, `[2001:db8::1]:80`. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export function formatEndpoint(endpoint: Endpoint): string {
  return formatHostPort(endpoint.address, endpoint.port);
}
