import { KexInit } from "ssh2/lib/protocol/kex.js";

/**
 * Safe from Terrapin (CVE-2023-48795) with every client, not only with those that have the strict key exchange that ssh2
 * speaks as well: the attack needs chacha20-poly1305, or a CBC or CTR cipher with an encrypt-then-MAC, and none of these is
 * offered. Key exchanges that a stranger may ask for are cheap ones (decision 0055). No SHA-1, no CBC, and no compression: it would let a peer send a little that becomes much.
 */
const KEX = ["curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"] as const;
/** The one that is liked best. */
export const FIRST_KEX = KEX[0];
/** RFC 8308 §3.1 knows no such name: the extension is OpenSSH's (PROTOCOL, 1.10). */
const STRICT_KEX = "kex-strict-s-v00@openssh.com";
const DIRECTION = {
  cipher: ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr"],
  mac: ["hmac-sha2-256", "hmac-sha2-512"],
  compress: ["none"],
  lang: [],
};

/** What the server offers, with a host key of this type. */
export function offerOf(hostKeyType: string): KexInit {
  return new KexInit({ kex: [...KEX, STRICT_KEX], serverHostKey: [hostKeyType], cs: DIRECTION, sc: DIRECTION });
}
