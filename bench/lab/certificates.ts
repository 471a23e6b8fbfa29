import { join } from "node:path";
import { run } from "./commands.ts";

/** The name in the relay's certificate. */
export const RELAY_NAME = "relay.bench";

export interface Certificates {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  /** Certificate and key in one file, for programs that want that; protected by `bundlePassword`. */
  readonly bundle: string;
  readonly bundlePassword: string;
}

/** A certificate authority and one relay certificate (ECDSA P-256, what most public certificates are now), made with openssl. */
export async function createCertificates(directory: string): Promise<Certificates> {
  const at = (file: string) => join(directory, file);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const bundlePassword = "bench";
  const asAuthority = ["-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign"];
  await run([
    "openssl",
    "req",
    "-x509",
    ...curve,
    "-days",
    "7",
    "-subj",
    "/CN=bench authority",
    ...asAuthority,
    "-keyout",
    at("authority.key"),
    "-out",
    at("authority.pem"),
  ]);
  await run([
    "openssl",
    "req",
    ...curve,
    "-subj",
    `/CN=${RELAY_NAME}`,
    "-keyout",
    at("relay.key"),
    "-out",
    at("relay.csr"),
  ]);
  await Bun.write(at("relay.ext"), `subjectAltName=DNS:${RELAY_NAME}\nextendedKeyUsage=serverAuth\n`);
  await run([
    "openssl",
    "x509",
    "-req",
    "-in",
    at("relay.csr"),
    "-CA",
    at("authority.pem"),
    "-CAkey",
    at("authority.key"),
    "-CAcreateserial",
    "-days",
    "7",
    "-extfile",
    at("relay.ext"),
    "-out",
    at("relay.pem"),
  ]);
  await run([
    "openssl",
    "pkcs12",
    "-export",
    "-in",
    at("relay.pem"),
    "-inkey",
    at("relay.key"),
    "-certfile",
    at("authority.pem"),
    "-passout",
    `pass:${bundlePassword}`,
    "-out",
    at("relay.pfx"),
  ]);
  return {
    authority: at("authority.pem"),
    certificate: at("relay.pem"),
    key: at("relay.key"),
    bundle: at("relay.pfx"),
    bundlePassword,
  };
}
