import { beforeAll, expect, test } from "bun:test";
import { unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CertificateZoo, certificateZoo, type TestCertificate } from "../../../test/fixtures/certificates.ts";
import { temporaryDirectory } from "../../../test/fixtures/directory.ts";
import { until } from "../../../test/fixtures/roles-lab.ts";
import { loadCertificatePair, type RelayCertificate } from "../../os/certificate.ts";
import { err, ok } from "../../wire/result.ts";
import { FileCertificate } from "./files.ts";

const LOOK_MS = 30_000;
let zoo: CertificateZoo;
let second: TestCertificate;
beforeAll(async () => {
  zoo = await certificateZoo();
  second = await zoo.authority.issue({ names: ["localhost"] });
});

class Lab implements AsyncDisposable {
  readonly warnings: string[] = [];
  readonly renewed: number[] = [];
  readonly shown: RelayCertificate[] = [];
  /** What whoever shows the certificate says to the next one. */
  refuse: string | null = null;
  nowMs = 0;
  source!: FileCertificate;
  readonly #directory: Awaited<ReturnType<typeof temporaryDirectory>>;

  private constructor(directory: Awaited<ReturnType<typeof temporaryDirectory>>) {
    this.#directory = directory;
  }

  static async with(pair: TestCertificate): Promise<Lab> {
    const lab = new Lab(await temporaryDirectory());
    await lab.write(pair);
    const { certificate, key } = lab.files;
    const loaded = await loadCertificatePair(certificate, key, Date.now());
    if (!loaded.ok) throw new Error(loaded.error.message);
    lab.source = new FileCertificate({
      files: lab.files,
      current: loaded.value,
      wallMs: Date.now,
      onRenewed: ({ notAfterMs }) => lab.renewed.push(notAfterMs),
      warn: (message) => lab.warnings.push(message),
    });
    lab.source.follow((next) => {
      if (lab.refuse !== null) return err(lab.refuse);
      lab.shown.push(next);
      return ok(null);
    });
    lab.source.sweep(0);
    return lab;
  }

  get files() {
    return { certificate: join(this.#directory.path, "cert.pem"), key: join(this.#directory.path, "key.pem") };
  }

  async write({ certificatePem, keyPem }: { readonly certificatePem: string; readonly keyPem: string }): Promise<void> {
    await writeFile(this.files.certificate, certificatePem);
    await writeFile(this.files.key, keyPem);
  }

  /** The time of the next look comes, and it is through. */
  async lookByItself(): Promise<void> {
    this.nowMs += LOOK_MS;
    this.source.sweep(this.nowMs);
    // Joins the look that is under way.
    await this.source.look();
    await Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directory[Symbol.asyncDispose]();
  }
}

const fingerprints = ({ shown }: Lab) => shown.map(({ fingerprint }) => fingerprint);

test("files that changed are taken at the next look, once", async () => {
  await using lab = await Lab.with(zoo.good);
  await lab.lookByItself();
  expect(lab.shown).toEqual([]);
  await lab.write(second);
  lab.source.sweep(lab.nowMs + LOOK_MS - 1);
  expect(lab.shown).toEqual([]);
  await lab.lookByItself();
  await lab.lookByItself();
  expect(fingerprints(lab)).toEqual([second.fingerprint]);
  expect(lab.source.current.fingerprint).toEqual(second.fingerprint);
  expect([lab.renewed.length, lab.warnings]).toEqual([1, []]);
});

test("a look that is asked for says what it found", async () => {
  await using lab = await Lab.with(zoo.good);
  expect(await lab.source.look()).toEqual({ kind: "same" });
  await lab.write(second);
  expect(await lab.source.look()).toEqual({ kind: "renewed" });
});

const refusals: [string, (lab: Lab) => Promise<void>, string][] = [
  ["of another key", (lab) => lab.write({ ...second, keyPem: zoo.good.keyPem }), "does not belong to the certificate"],
  ["that has ended", (lab) => lab.write(zoo.expired), "expired on"],
  ["that is not valid yet", (lab) => lab.write(zoo.notYetValid), "is not valid before"],
  ["that is missing", (lab) => unlink(lab.files.key), "There is no"],
  ["that is no PEM", (lab) => lab.write({ ...second, certificatePem: "nothing" }), "is not a certificate in PEM"],
  [
    "with a damaged one behind it",
    (lab) =>
      lab.write({
        ...second,
        certificatePem: `${second.certificatePem}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`,
      }),
    "has a damaged certificate behind its first",
  ],
];
for (const [name, spoil, words] of refusals) {
  test(`a pair ${name} is refused, told once, and the one before goes on`, async () => {
    await using lab = await Lab.with(zoo.good);
    await spoil(lab);
    await lab.lookByItself();
    // It may be half written.
    expect(lab.warnings).toEqual([]);
    await lab.lookByItself();
    await lab.lookByItself();
    expect(lab.warnings).toEqual([expect.stringContaining(words)]);
    expect(await lab.source.look()).toMatchObject({ kind: "refused", message: expect.stringContaining(words) });
    expect([lab.shown, lab.source.current.fingerprint]).toEqual([[], zoo.good.fingerprint]);
    await lab.write(second);
    await lab.lookByItself();
    expect(fingerprints(lab)).toEqual([second.fingerprint]);
    // The same fault again is another time.
    await spoil(lab);
    await lab.lookByItself();
    await lab.lookByItself();
    expect(lab.warnings.length).toBe(2);
  });
}

test("who could not take it is asked again, and nobody else", async () => {
  await using lab = await Lab.with(zoo.good);
  const others: RelayCertificate[] = [];
  lab.source.follow((next) => {
    others.push(next);
    return ok(null);
  });
  await lab.write(second);
  lab.refuse = "The port is taken.";
  await lab.lookByItself();
  expect([lab.shown.length, lab.warnings]).toEqual([0, ["The port is taken."]]);
  lab.refuse = null;
  await lab.lookByItself();
  await until(() => lab.shown.length === 1);
  expect(others.length).toBe(1);
});
