import { pinnedCertificate } from "../../os/pinned-certificate.ts";
import { type Client, createClient, type Fetch } from "../../servers/api/client.ts";
import { ControlError } from "../../servers/local/error.ts";
import type { AskedGateway } from "../asked-gateway.ts";
import type { AskedRelay } from "../asked-relay.ts";
import type { Context } from "../context.ts";
import { remoteRelay } from "./control.ts";
import { tellingFailures } from "./failure.ts";
import { remoteGateway } from "./gateway.ts";
import { type Remote, readRemote } from "./options.ts";

/** A check of the relay's is the longest of what is asked. */
const ANSWER_MS = 60_000;
const CONNECT_MS = 10_000;
const HTTPS_PORT = 443;

/** The relay of --remote, over its API. Nothing is sent before the first call; the token goes to a server that proved itself. */
export const openRemote = (context: Context): Promise<AskedRelay> => opened(context, remoteRelay);

/** The same of a gateway. */
export const openRemoteGateway = (context: Context): Promise<AskedGateway> => opened(context, remoteGateway);

async function opened<T extends object>(context: Context, as: (client: Client) => T): Promise<T> {
  const remote = await readRemote(context);
  const { url, token } = remote;
  const fetch = await trustingFetch(remote, context.io.stop);
  return tellingFailures(as(createClient({ baseUrl: url, token, fetch, signal: context.io.stop })), url);
}

/** `fetch` to the server that `remote` means and to no other. */
async function trustingFetch(remote: Remote, stop: AbortSignal): Promise<Fetch> {
  const tls = await tlsOptions(remote, stop);
  return (url, init) => {
    const ends = [AbortSignal.timeout(ANSWER_MS), ...(init.signal == null ? [] : [init.signal])];
    return fetch(url, { ...init, signal: AbortSignal.any(ends), ...(tls === null ? {} : { tls }) });
  };
}

async function tlsOptions({ url, trust }: Remote, stop: AbortSignal): Promise<BunFetchRequestInitTLS | null> {
  const { protocol, hostname, port } = new URL(url);
  if (protocol === "http:") return null;
  switch (trust.kind) {
    case "verified":
      return trust.ca === null ? null : { ca: trust.ca };
    case "pinned": {
      const server = { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? HTTPS_PORT : Number(port) };
      const signal = AbortSignal.any([AbortSignal.timeout(CONNECT_MS), stop]);
      const found = await pinnedCertificate(server, trust.fingerprint, signal);
      // Its key says who it is, whatever it is called.
      if (found.ok) return { ca: found.value, checkServerIdentity: () => undefined };
      throw new ControlError("unreachable", pinSentence(found.error, url));
    }
    default:
      return trust satisfies never;
  }
}

function pinSentence({ kind, message }: { readonly kind: string; readonly message: string }, url: string): string {
  switch (kind) {
    case "other-key":
      return `${url} is not the relay that --fingerprint names (${message}): someone may stand in between, or its console has another certificate.`;
    case "not-self-signed":
      return `The certificate of ${url} has that key and comes from a CA: name the CA by --ca FILE instead of --fingerprint.`;
    default:
      return `${url} cannot be reached (${message}): check the address, and that the relay runs with a console.`;
  }
}
