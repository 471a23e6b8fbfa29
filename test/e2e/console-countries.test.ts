import { expect, test } from "bun:test";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "../../src/servers/api/client.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { inCountry, mmdb } from "../fixtures/mmdb.ts";
import { pageFetch, secretOf } from "../fixtures/page-fetch.ts";
import { failureOf, mapping, remote, rolesLab } from "../fixtures/roles-lab.ts";
import { tcpService, visit } from "../fixtures/services.ts";

function settings(countryDatabase: string) {
  const listen = { host: "127.0.0.1", port: 0 };
  return { console: { listen, hosts: [], certificate: null, tls: false, trustedProxies: [], countryDatabase } };
}

test("a relay's live connections have the country of a database, and that of another one after a reload", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "countries.mmdb");
  await writeFile(path, mmdb([inCountry("127.0.0.0/8", "CH")]));
  await using lab = await rolesLab(settings(path));
  const { console } = lab.relay.ready;
  if (console?.setupLink == null) throw new Error("the relay has no console");
  const ann = createClient({ baseUrl: console.url, fetch: pageFetch(console.url) });
  await ann.redeem({ token: secretOf(console.setupLink), name: "ann", password: "correct horse battery" });
  const agent = await lab.agent("den");
  using service = tcpService("web");
  const [port = 0] = lab.pool;
  await agent.running.addForward(remote("web", [mapping("tcp", port, port, service.port)]), { lasting: false });
  using visitor = await visit(port);
  expect(await visitor.ask("a")).toBe("web:a");
  const countries = async () => (await ann.listVisits()).items.map(({ country }) => country);
  expect(await countries()).toEqual(["CH"]);
  await writeFile(`${path}.new`, mmdb([inCountry("127.0.0.0/8", "AT")]));
  await rename(`${path}.new`, path);
  expect((await lab.relay.reload()).changed).toEqual(["console.country-database"]);
  expect(await countries()).toEqual(["AT"]);
  await writeFile(path, "half");
  expect((await lab.relay.reload()).refused).toEqual([expect.stringContaining("stays in use")]);
  expect(await countries()).toEqual(["AT"]);
}, 30_000);

test("a relay does not start with a file that is no such database", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "countries.mmdb");
  await writeFile(path, "<html>");
  const error = await failureOf(rolesLab(settings(path)));
  expect(error).toMatchObject({ kind: "usage", message: expect.stringContaining("download it again") });
});
