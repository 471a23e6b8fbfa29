import { describe, expect, test } from "bun:test";
import { natForward, natSettings } from "../../../test/contract/nat-plane.ts";
import { ok } from "../../wire/result.ts";
import { KernelTable } from "./kernel-table.ts";
import type { ListedElement } from "./listing.ts";
import type { StaticSetName } from "./names.ts";
import type { Nft } from "./nft.ts";

/** A kernel whose table is told by the test, and which takes every transaction. */
class ToldNft implements Nft {
  readonly applied: string[] = [];
  readonly listed: StaticSetName[] = [];
  printed = "";
  held: readonly ListedElement[] = [];

  async apply(text: string) {
    this.applied.push(text);
    return ok(null);
  }
  table = async () => ok(null);
  print = async () => ok(this.printed);
  dynamicMap = async () => ok([]);
  async elements(set: StaticSetName) {
    this.listed.push(set);
    return ok(this.held);
  }
}

const element = (key: string, data: string): ListedElement => ({ key, data, packets: 0, bytes: 0, expiresSec: null });

/** The rules as our own transaction made them, in the kernel's print. */
function printOf(transaction: string): string {
  const names = (pattern: RegExp) => [...transaction.matchAll(pattern)].map(([, name]) => name);
  const rules = Map.groupBy(names(/^add rule inet hatchway (\S+)/gm), (name) => name);
  return [
    "table inet hatchway {",
    ...["counter", "set", "map"].flatMap((kind) =>
      names(new RegExp(`^add ${kind} inet hatchway (\\S+)`, "gm")).map((name) => `\t${kind} ${name} {\n\t}`),
    ),
    ...names(/^add chain inet hatchway (\S+)/gm).map((name) =>
      [`\tchain ${name} {`, ...(rules.get(name) ?? []).map(() => "\t\taccept"), "\t}"].join("\n"),
    ),
    "}",
  ].join("\n");
}

describe("a comparison", () => {
  async function started() {
    const nft = new ToldNft();
    const apply = nft.apply.bind(nft);
    nft.apply = async (text) => {
      nft.printed = printOf(text);
      return await apply(text);
    };
    const table = new KernelTable(nft);
    expect(await table.replace(natSettings(), [natForward({ id: "web", first: 8001 })])).toMatchObject({ ok: true });
    nft.apply = apply;
    nft.applied.length = 0;
    nft.listed.length = 0;
    return { nft, table };
  }

  test("of the rules reads no set while they are as they were", async () => {
    const { nft, table } = await started();
    expect(await table.verifyRules()).toEqual(ok({ stale: [], mended: false }));
    expect(nft.listed).toEqual([]);
    nft.printed += "\nsomething more";
    expect(await table.verifyRules()).toMatchObject({ ok: true, value: { mended: true } });
  });

  test("of one set reads that set alone, and mends it", async () => {
    const { nft, table } = await started();
    nft.held = [element("tcp . 9", "192.168.77.2 . 9")];
    expect(await table.verifySet("hw_dnat")).toMatchObject({ ok: true, value: { mended: true } });
    expect(nft.listed).toEqual(["hw_dnat"]);
    expect(nft.applied).toHaveLength(1);
    expect(nft.applied[0]).toContain("delete element inet hatchway hw_dnat { tcp . 9");
    expect(nft.applied[0]).toContain("add element inet hatchway hw_dnat { tcp . 8001 : 192.168.77.2 . 8001 }");
  });
});
