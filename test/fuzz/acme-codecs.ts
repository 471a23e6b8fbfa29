import {
  AcmeAuthorization,
  AcmeDirectory,
  AcmeOrder,
  AcmeProblem,
  challengeToken,
  decodeAcme,
} from "../../src/wire/acme/messages.ts";
import { type FuzzCodec, must, text } from "./codec.ts";

const URL_OF_CA = "https://ca.example/x";
const CHALLENGE = { type: "http-01", url: URL_OF_CA, status: "pending", token: "t".repeat(43) };

export const acme: readonly FuzzCodec[] = [
  {
    name: "acme-messages",
    seeds: text(
      JSON.stringify({ newNonce: URL_OF_CA, newAccount: URL_OF_CA, newOrder: URL_OF_CA }),
      JSON.stringify({ status: "valid", authorizations: [URL_OF_CA], finalize: URL_OF_CA, certificate: URL_OF_CA }),
      JSON.stringify({ status: "pending", identifier: { type: "dns", value: "a" }, challenges: [CHALLENGE] }),
      JSON.stringify({ type: "urn:ietf:params:acme:error:badNonce", detail: "no" }),
    ),
    check(input) {
      const said = new TextDecoder().decode(input);
      const [directory, order] = [decodeAcme(AcmeDirectory, said), decodeAcme(AcmeOrder, said)];
      const [authorization, problem] = [decodeAcme(AcmeAuthorization, said), decodeAcme(AcmeProblem, said)];
      const urls = [
        ...(directory.ok ? Object.values(directory.value) : []),
        ...(order.ok ? [order.value.finalize, ...order.value.authorizations] : []),
      ];
      must(
        urls.every((url) => new URL(url).protocol === "https:"),
        "every URL is an https one",
      );
      const tokens = authorization.ok ? authorization.value.challenges.map(({ token }) => token ?? "") : [];
      must(
        tokens.every((token) => /^[\w-]*$/.test(token)),
        "a token needs no escaping",
      );
      return directory.ok || order.ok || authorization.ok || problem.ok;
    },
  },
  {
    name: "acme-challenge-path",
    seeds: text(`/.well-known/acme-challenge/${"t".repeat(43)}`, "/.well-known/acme-challenge/", "/"),
    check(input) {
      const token = challengeToken(new TextDecoder().decode(input));
      must(token === null || /^[\w-]{22,256}$/.test(token), "a token is base64url");
      return token !== null;
    },
  },
];
