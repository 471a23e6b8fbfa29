import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { z } from "../../wire/zod.ts";

/** RFC 7518 section 6.2.1, in the order that a thumbprint wants (RFC 7638 section 3.2). */
const EcJwk = z.object({ crv: z.literal("P-256"), kty: z.literal("EC"), x: z.string(), y: z.string() });
type EcJwk = z.infer<typeof EcJwk>;

const base64url = (text: string) => Buffer.from(text).toString("base64url");

/** The key of an ACME account: it signs all requests (RFC 8555 section 6.2). ECDSA P-256. */
export class AccountKey {
  readonly pem: string;
  readonly #key: KeyObject;
  readonly #jwk: EcJwk;

  /** Throws when it is no such key. */
  constructor(pem: string) {
    this.pem = pem;
    this.#key = createPrivateKey(pem);
    this.#jwk = EcJwk.parse(this.#key.export({ format: "jwk" }));
  }

  static generate(): AccountKey {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    return new AccountKey(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  }

  /** What proves a name (section 8.1). */
  authorizationOf(token: string): string {
    const thumbprint = createHash("sha256").update(JSON.stringify(this.#jwk)).digest("base64url");
    return `${token}.${thumbprint}`;
  }

  /** A JWS in flattened JSON. `account`: its URL; null = it is not known yet. `payload`: null = POST-as-GET (section 6.3). */
  sign(url: string, nonce: string, account: string | null, payload: object | null): string {
    const who = account === null ? { jwk: this.#jwk } : { kid: account };
    const header = base64url(JSON.stringify({ alg: "ES256", ...who, nonce, url }));
    const body = payload === null ? "" : base64url(JSON.stringify(payload));
    const signature = sign("sha256", Buffer.from(`${header}.${body}`), { key: this.#key, dsaEncoding: "ieee-p1363" });
    return JSON.stringify({ protected: header, payload: body, signature: signature.toString("base64url") });
  }
}
