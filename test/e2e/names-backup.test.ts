import { expect, test } from "bun:test";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { dataPaths } from "../../src/os/paths.ts";
import { AccountKey } from "../../src/roles/acme/account-key.ts";
import { backUp, restore } from "../../src/roles/backup/command.ts";
import type { NamesAcmeSettings } from "../../src/roles/control.ts";
import { NO_ACME, writeAcme } from "../../src/store/acme-state.ts";
import { testAuthority } from "../fixtures/certificates.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { firstTrusted, trusted } from "../fixtures/names-client.ts";
import { NAMES, site, startWeb } from "../fixtures/names-lab.ts";
import { rolesLab } from "../fixtures/roles-lab.ts";

const NAME = "end.example.org";
const FAR_MS = Date.UTC(2100, 0);

test("a restored relay shows the same certificates of its sites, and orders none", async () => {
  await using running = new AsyncDisposableStack();
  let asked = 0;
  const ca = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      asked += 1;
      return new Response("no", { status: 500 });
    },
  });
  running.defer(() => ca.stop(true));
  const directory = `http://127.0.0.1:${ca.port}/directory`;
  const authority = await testAuthority("CA of the sites");
  const pair = await authority.issue({ names: [NAME] });
  const acme: NamesAcmeSettings = { email: null, directory, ca: null, challenge: null };
  const lab = running.use(await rolesLab({ names: NAMES }));
  // As an order leaves it.
  const account = { directory, keyPem: AccountKey.generate().pem };
  const wish = { directory, hosts: [NAME] };
  const certificate = { wish, chainPem: pair.certificatePem, keyPem: pair.keyPem, renewAtMs: FAR_MS };
  await mkdir(join(lab.relayDirectory, "names", NAME), { recursive: true, mode: 0o700 });
  await writeAcme(join(lab.relayDirectory, "names"), { ...NO_ACME, account });
  await writeAcme(join(lab.relayDirectory, "names", NAME), { ...NO_ACME, account, certificate });
  lab.relaySettings = { ...lab.relaySettings, names: { ...NAMES, acme } };
  await lab.restartRelay();

  const agent = await lab.agent("home");
  const port = startWeb(running, () => new Response("served"));
  const opened = await agent.add(site("end", [NAME], port, { tls: "end" }), true);
  const before = await firstTrusted(opened.endpoints[0]?.port ?? 0, NAME, authority.certificatePem);
  before.close();

  const file = join(running.use(await temporaryDirectory()).path, "relay.backup");
  const request = { paths: dataPaths(lab.relayDirectory), file, passphrase: "of the backup", isRoot: false, nowMs: 1 };
  const https = opened.endpoints[0]?.port ?? 0;
  lab.relaySettings = { ...lab.relaySettings, names: { ...NAMES, https: { host: "127.0.0.1", port: https }, acme } };
  await lab.restartRelay(async () => {
    await backUp(request);
    await rm(lab.relayDirectory, { recursive: true });
    await mkdir(lab.relayDirectory, { mode: 0o700 });
    await restore({ ...request, checkOnly: false });
  });
  const after = await firstTrusted(https, NAME, authority.certificatePem);
  expect(after.serial).toBe(before.serial);
  expect(await after.ask("/")).toContain("served");
  after.close();
  expect(asked).toBe(0);
  // And it is the one of this name.
  expect((await trusted(https, NAME, authority.certificatePem)).serial).toBe(before.serial);
}, 30_000);
