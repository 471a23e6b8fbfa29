import { shownCredential } from "../../src/servers/api/credentials.ts";
import { versionOf, versionTag } from "../../src/servers/api/etag.ts";
import { Refusal } from "../../src/servers/api/problem.ts";
import { PAGE_KEY_HEADER } from "../../src/servers/api/protocol.ts";
import { ownHost, provenance } from "../../src/servers/api/site.ts";
import { type FuzzCodec, must, mustEqual, text } from "./codec.ts";

const PAGE_KEY = "page-key";
const OURS = { host: "relay.example", port: 8443 };

/** Headers as a server has them: what is no header's value never comes so far. */
function headersOf(name: string, input: Uint8Array): Headers | null {
  try {
    return new Headers({ [name]: new TextDecoder("latin1").decode(input) });
  } catch {
    return null;
  }
}

export const api: readonly FuzzCodec[] = [
  {
    name: "api-cookie",
    seeds: text("__Host-hatchway=abc", "a=b; __Host-hatchway=abc; c=d", "__Host-hatchway=a; __Host-hatchway=b", "=;;="),
    check(input) {
      const headers = headersOf("cookie", input);
      headers?.set(PAGE_KEY_HEADER, PAGE_KEY);
      const shown = headers === null ? null : shownCredential(headers, true);
      if (headers === null || shown === null) return false;
      const cookie = headers.get("cookie") ?? "";
      must(shown.kind === "session" && shown.secret !== "", "a cookie is a session's");
      mustEqual(cookie.split("__Host-hatchway=").length >= 2, true, "it is there by its whole name");
      must(!/[;\s]/.test(shown.secret.trim()), "it is one value");
      must(shown.secret.endsWith(PAGE_KEY), "the page's half comes last");
      return true;
    },
  },
  {
    name: "api-authorization",
    seeds: text("Bearer hwt_abc", "bearer  x", "Basic YTpi", "Bearer a b", "Bearer"),
    check(input) {
      const headers = headersOf("authorization", input);
      headers?.set("cookie", "__Host-hatchway=abc");
      const shown = headers === null ? null : shownCredential(headers, true);
      if (headers?.get("authorization") === null || shown === null) return false;
      must(shown.kind === "token", "a cookie does not make up for it");
      must(/^[\x21-\x7e]+$/.test(shown.secret), "a token has visible characters");
      return true;
    },
  },
  {
    name: "api-host-and-origin",
    seeds: text(
      "relay.example:8443",
      "RELAY.example:8443",
      "https://relay.example:8443",
      "https://relay.example:8443/x",
      "null",
    ),
    check(input) {
      const [host, origin] = [headersOf("host", input), headersOf("origin", input)];
      const named =
        host === null ? null : ownHost(host, true, (one) => one.host === OURS.host && one.port === OURS.port);
      if (named !== null) mustEqual(host?.get("host")?.toLowerCase(), "relay.example:8443", "only our name is ours");
      const from = origin === null ? "unsaid" : provenance(origin, OURS, true);
      if (from === "ours")
        mustEqual(URL.parse(origin?.get("origin") ?? "")?.host, "relay.example:8443", "only our origin is ours");
      return named !== null || from === "ours";
    },
  },
  {
    name: "api-if-match",
    seeds: text('"v1"', 'W/"v1"', '"a%20b"', '"%zz"', "*", '"a", "b"'),
    check(input) {
      const header = new TextDecoder().decode(input);
      try {
        const version = versionOf(header);
        if (version !== null) mustEqual(versionOf(versionTag(version)), version, "a version comes back as it was");
        return true;
      } catch (error) {
        must(error instanceof Refusal, "what is no version is refused");
        return false;
      }
    },
  },
];
