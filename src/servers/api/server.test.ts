import { afterEach, expect, test } from "bun:test";
import { ApiLab, HERE } from "../../../test/fixtures/api-lab.ts";
import { certificateZoo } from "../../../test/fixtures/certificates.ts";
import { shownFingerprint } from "../../../test/fixtures/shown-certificate.ts";
import { serveApi } from "./server.ts";

const zoo = await certificateZoo();
const [first, second] = [zoo.good, await zoo.authority.issue({ names: ["localhost", "127.0.0.1"] })];
const pairOf = ({ certificatePem: cert, keyPem: key }: typeof first) => ({ cert, key });
const tls = { ca: zoo.authority.certificatePem };
let lab: ApiLab;
afterEach(() => lab.close());

test("a renewed certificate is what new connections see", async () => {
  lab = new ApiLab({}, { tls: pairOf(first) });
  expect(await shownFingerprint(lab.port)).toEqual(first.fingerprint);
  lab.renew(pairOf(second));
  expect(await shownFingerprint(lab.port)).toEqual(second.fingerprint);
  lab.renew(pairOf(first));
  expect(await shownFingerprint(lab.port)).toEqual(first.fingerprint);
  expect((await fetch(`${lab.url}/v1/setup`, { tls })).status).toBe(200);
});

test("a stream that is open goes on over the listener before, until the server is closed", async () => {
  lab = new ApiLab({}, { tls: pairOf(first) });
  const { body } = await fetch(`${lab.url}/v1/events`, { headers: lab.session("uwe"), tls });
  const reader = body?.getReader();
  await lab.backend.forwards.followed(1);
  lab.renew(pairOf(second));
  expect(await shownFingerprint(lab.port)).toEqual(second.fingerprint);
  lab.backend.forwards.emit({ event: "forward-gone", id: "f-9" });
  let text = "";
  while (!text.includes("f-9")) {
    const part = await reader?.read();
    if (part === undefined || part.done) throw new Error(`the stream ended: ${text}`);
    text += new TextDecoder().decode(part.value);
  }
  await lab.close();
  const ended = await reader?.read().then(
    ({ done }) => done,
    () => true,
  );
  expect(ended).toBe(true);
});

test("a port that is taken is an error with its sentence, and is not shared", () => {
  lab = new ApiLab();
  const second = serveApi(lab.api, { bind: HERE, port: lab.port, tls: null });
  expect(second).toMatchObject({ ok: false, error: { kind: "inUse" } });
});
