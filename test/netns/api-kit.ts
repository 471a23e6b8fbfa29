import { type Client, createClient, type Fetch } from "../../src/servers/api/client.ts";
import { secretOf } from "../fixtures/page-fetch.ts";
import type { Child } from "./child.ts";
import type { Host, Machines } from "./lab.ts";

const PASSWORD = "correct horse battery";
const STATUS_LINE = /^HTTP\/\S+ (\d+)/;

/** `fetch` on a machine of the lab, by curl, as a page of that origin would: with its cookie. */
export function fetchOn(lab: Machines, host: Host, origin: string): Fetch {
  let cookie = "";
  return async (url, { method = "GET", headers, body }) => {
    const sent = new Headers(headers);
    sent.set("origin", origin);
    if (cookie !== "") sent.set("cookie", cookie);
    const argv = ["curl", "-s", "-k", "-i", "-m", "20", "-X", method];
    for (const [name, value] of sent) argv.push("-H", `${name}: ${value}`);
    if (typeof body === "string") argv.push("--data-raw", body);
    const { exitCode, stdout, stderr } = await lab.exec(host, [...argv, url]);
    if (exitCode !== 0) throw new TypeError(`curl ${url}: exit code ${exitCode}: ${stderr}`);
    const response = parsed(stdout);
    const set = response.headers.get("set-cookie");
    if (set !== null) cookie = set.split(";")[0] ?? "";
    return response;
  };
}

function parsed(text: string): Response {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  const end = lines.indexOf("");
  const status = Number(STATUS_LINE.exec(lines[0] ?? "")?.[1] ?? 0);
  const headers = new Headers(
    lines.slice(1, end).map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
  const body = lines.slice(end + 1).join("\n");
  return new Response(status === 204 || body === "" ? null : body, { status, headers });
}

export interface ConsoleReady {
  readonly url: string;
  readonly setupLink: string | null;
}

/** The first administrator, by the one-time link, on that machine. */
export async function firstAdmin(lab: Machines, host: Host, { url, setupLink }: ConsoleReady): Promise<Client> {
  if (setupLink === null) throw new Error("there is an administrator already");
  return newPerson(lab, host, url, setupLink, "ann");
}

/** Whoever opens such a link. */
export async function newPerson(lab: Machines, host: Host, url: string, link: string, name: string): Promise<Client> {
  const client = createClient({ baseUrl: url, fetch: fetchOn(lab, host, url) });
  await client.redeem({ token: secretOf(link), name, password: PASSWORD });
  return client;
}

/** What happens, an event a line, for whoever has the token. */
export function follow(lab: Machines, host: Host, url: string, token: string): Child {
  const script = `curl -s -k -N -H "authorization: Bearer $1" "$2/v1/events" | sed -un 's/^data: //p'`;
  return lab.spawn(host, ["sh", "-c", script, "follow", token, url]);
}
