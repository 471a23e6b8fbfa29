import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/fixtures/directory.ts";
import { findUser, userText } from "./users.ts";

const PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533::/nonexistent:/usr/sbin/nologin\n";

test.each([
  [["hatchway", "nobody"], { name: "nobody", uid: 65_534, gid: 65_533 }],
  [["hatchway"], null],
  [["root", "nobody"], { name: "root", uid: 0, gid: 0 }],
])("the first user of %p that is known", async (names, found) => {
  await using directory = await temporaryDirectory();
  const passwd = join(directory.path, "passwd");
  writeFileSync(passwd, PASSWD);
  expect(findUser(names, passwd)).toEqual(found);
});

test("a user is called by its name, else by its number", async () => {
  await using directory = await temporaryDirectory();
  const passwd = join(directory.path, "passwd");
  expect(userText(65_534, passwd)).toBe("user 65534");
  writeFileSync(passwd, PASSWD);
  expect([65_534, 7].map((uid) => userText(uid, passwd))).toEqual(["user nobody", "user 7"]);
});
