import type { PublicKeyRequest } from "ssh2/lib/protocol/Protocol.js";
import { type Signature, verifySshSignature } from "../../os/ssh-key.ts";
import {
  decodeSignature,
  decodeUserCertificate,
  isCertificateType,
  type UserCertificate,
} from "../../wire/ssh/certificate.ts";
import { decodeKey, type SshKey } from "../../wire/ssh/public-key.ts";

/** What a client shows. */
export type SshCredential =
  | { readonly kind: "key"; readonly key: SshKey }
  | { readonly kind: "certificate"; readonly certificate: UserCertificate; readonly login: string };

/** What is asked of whoever knows the devices. */
export interface SshAuthority<P> {
  /** Who shows it, if it proves to be theirs; null = nobody that may come in. */
  find(credential: SshCredential, address: string): Promise<P | null>;
  /** A credential that is wrong was shown once more; resolves when that is to be answered. */
  denied(address: string): Promise<void>;
}

/** What the client is answered with. */
export interface AuthAnswers {
  authFailure(methods: readonly string[]): void;
  authSuccess(): void;
  authPKOK(algorithm: string, key: Buffer): void;
}

export interface AuthOptions<P> {
  readonly authority: SshAuthority<P>;
  readonly answers: AuthAnswers;
  readonly address: string;
  isClosed(): boolean;
  accepted(principal: P): void;
  /** Ends the connection. */
  giveUp(why: string): void;
  failed(error: unknown): void;
}

const METHODS = ["publickey"];
const SERVICE = "ssh-connection";
/** An agent (the program that holds keys) offers all that it has before the right one: keys cannot be guessed. */
const FREE_TRIES = 10;
const MOST_TRIES = 30;
const MOST_WAITING = 10;

/** RFC 4252: a key, or a certificate, and nothing else. Requests are answered in their order. */
export class UserAuth<P> {
  readonly #options: AuthOptions<P>;
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  #tries = 0;
  #done = false;

  constructor(options: AuthOptions<P>) {
    this.#options = options;
  }

  request(login: string | undefined, service: string | undefined, method: string, data: unknown): void {
    // RFC 4252 §5.1: after success they are to be ignored.
    if (this.#done) return;
    if (login === undefined || service !== SERVICE || this.#waiting >= MOST_WAITING) {
      this.#options.giveUp("it asks for a service that there is none of, or too fast");
      return;
    }
    this.#waiting++;
    this.#turn = this.#turn
      .then(() => this.#answer(login, method, data))
      .catch((error: unknown) => {
        this.#options.failed(error);
        this.#options.giveUp("the relay could not look a key up");
      })
      .finally(() => {
        this.#waiting--;
      });
  }

  async #answer(login: string, method: string, data: unknown): Promise<void> {
    const { answers, authority, address, isClosed, accepted } = this.#options;
    if (isClosed() || this.#done) return;
    // How clients ask which methods there are.
    if (method === "none") {
      answers.authFailure(METHODS);
      return;
    }
    if (method !== "publickey") {
      await this.#deny(true);
      return;
    }
    const request = wholeOf(data as PublicKeyRequest);
    if (request === null) {
      this.#options.giveUp("its request to log in is cut off");
      return;
    }
    const credential = credentialOf(request, login);
    const principal = credential === null ? null : await authority.find(credential, address);
    if (isClosed()) return;
    if (credential === null || principal === null) {
      await this.#deny(request.signature !== undefined);
      return;
    }
    if (request.signature === undefined || request.blob === undefined) {
      answers.authPKOK(algorithmOf(request), request.key);
      return;
    }
    const signature = signatureOf(request);
    if (signature === null || !verifySshSignature(partsOf(credential), request.blob, signature)) {
      await this.#deny(true);
      return;
    }
    this.#done = true;
    answers.authSuccess();
    accepted(principal);
  }

  /** `proven`: more than a key that this relay does not know was shown. */
  async #deny(proven: boolean): Promise<void> {
    const { answers, authority, address, isClosed, giveUp } = this.#options;
    this.#tries++;
    if (proven || this.#tries > FREE_TRIES) await authority.denied(address);
    if (isClosed()) return;
    if (this.#tries < MOST_TRIES) answers.authFailure(METHODS);
    else giveUp("it tried too many keys");
  }
}

type WholeRequest = PublicKeyRequest & { readonly keyAlgo: string; readonly key: Buffer };

function wholeOf(request: PublicKeyRequest): WholeRequest | null {
  const { keyAlgo, key } = request;
  return keyAlgo === undefined || key === undefined ? null : { ...request, keyAlgo, key };
}

function credentialOf({ keyAlgo, key }: WholeRequest, login: string): SshCredential | null {
  if (isCertificateType(keyAlgo)) {
    const certificate = decodeUserCertificate(key);
    return certificate.ok ? { kind: "certificate", certificate: certificate.value, login } : null;
  }
  const decoded = decodeKey(key);
  return decoded.ok && decoded.value.type === keyAlgo ? { kind: "key", key: decoded.value } : null;
}

function partsOf(credential: SshCredential) {
  return credential.kind === "key" ? credential.key.parts : credential.certificate.parts;
}

/** ssh2 tells the hash of RSA's apart from the name. */
function algorithmOf({ keyAlgo, hashAlgo }: WholeRequest): string {
  switch (hashAlgo) {
    case "sha256":
      return "rsa-sha2-256";
    case "sha512":
      return "rsa-sha2-512";
    default:
      return keyAlgo;
  }
}

/** ssh2 has taken a signature apart, but for a certificate's, whose own name is another than the certificate's. */
function signatureOf(request: WholeRequest): Signature | null {
  if (request.signature === undefined) return null;
  if (isCertificateType(request.keyAlgo)) return decodeSignature(request.signature);
  return { algorithm: algorithmOf(request), bytes: request.signature, der: true };
}
