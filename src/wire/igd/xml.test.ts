import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { escapeXml, readXml, textElement, type XmlElement, type XmlError } from "./xml.ts";

const MAX_BYTES = 8192;
const read = (text: string) => readXml(new TextEncoder().encode(text), MAX_BYTES);
const leaf = (name: string, text = "", namespace: string | null = null): XmlElement => ({
  name,
  namespace,
  text,
  children: [],
});

describe("read", () => {
  const table: [name: string, text: string, element: XmlElement][] = [
    ["an empty element", "<a/>", leaf("a")],
    ["the same, in two tags with blanks", "<a\n></a \t>", leaf("a")],
    [
      "declaration, comments, instructions, blanks around",
      '\ufeff\n<?xml version="1.0"?><!-- < --><a/><?x ?>\r\n',
      leaf("a"),
    ],
    ["the five entities, once", "<a>&lt;&gt;&amp;&apos;&quot;&amp;lt;</a>", leaf("a", `<>&'"&lt;`)],
    ["numeric references", "<a>&#65;&#x42;&#x1F600;&#13;&#38;amp;</a>", leaf("a", "AB😀\r&amp;")],
    ["ampersands that begin no reference", "<a>Tom & Jerry, AT&T &&; &</a>", leaf("a", "Tom & Jerry, AT&T &&; &")],
    ["line ends", "<a>1\r\n2\r3</a>", leaf("a", "1\n2\n3")],
    ["CDATA is text as it is", "<a>1<![CDATA[<&lt;]]]>2</a>", leaf("a", "1<&lt;]2")],
    ["a comment in text", "<a>1<!-- 2 -->3</a>", leaf("a", "13")],
    ["attributes of both quotes, dropped", `<a b="'>" c = '"&lt;/'/>`, leaf("a")],
    ["a declared prefix", '<p:a xmlns:p="urn:x"/>', leaf("a", "", "urn:x")],
    ["a prefix nobody declared", "<p:a></p:a>", leaf("a")],
    [
      "the default namespace, and its end",
      '<a xmlns="urn:x"><b xmlns=""/><c/></a>',
      {
        ...leaf("a", "", "urn:x"),
        children: [leaf("b"), leaf("c", "", "urn:x")],
      },
    ],
    [
      "an inner declaration of a prefix",
      '<p:a xmlns:p="1"><p:b xmlns:p="2"/><p:c/></p:a>',
      {
        ...leaf("a", "", "1"),
        children: [leaf("b", "", "2"), leaf("c", "", "1")],
      },
    ],
  ];
  for (const [name, text, element] of table) {
    test(name, () => expect(read(text)).toEqual({ ok: true, value: element }));
    test(`${name}: cut anywhere it is an error`, () => {
      const whole = text.trimEnd();
      const end = whole.endsWith("?>") ? whole.lastIndexOf("<?") : whole.length;
      for (let length = 0; length < end; length++) expect(read(whole.slice(0, length)).ok).toBe(false);
    });
  }
  test("16 elements deep", () => {
    expect(read("<a>".repeat(16) + "</a>".repeat(16)).ok).toBe(true);
  });
});

describe("refused", () => {
  const table: [text: string, kind: XmlError["kind"]][] = [
    ["", "truncated"],
    ["text", "malformed"],
    ["<a/>text", "malformed"],
    ["<a/><b/>", "malformed"],
    ["<a></b>", "malformed"],
    ["<p:a></q:a>", "malformed"],
    ["</a>", "malformed"],
    ["< a/>", "malformed"],
    ["<1/>", "malformed"],
    ["<:a/>", "malformed"],
    ["<a:/>", "malformed"],
    ["<a:b:c/>", "malformed"],
    ["<a b/>", "malformed"],
    ["<a b=c/>", "malformed"],
    ['<a b="<"/>', "malformed"],
    ['<a xmlns="1" xmlns="2"/>', "malformed"],
    ["<![CDATA[]]>", "malformed"],
    ["<a><!--", "truncated"],
    ["<a><?", "truncated"],
    ["<a><![CDATA[]]", "truncated"],
    ["<a><b>", "truncated"],
    ["<a>&copy;</a>", "reference"],
    ['<a b="&copy;"/>', "reference"],
    ["<a>&#0;</a>", "reference"],
    ["<a>&#x1b;</a>", "reference"],
    ["<a>&#xD800;</a>", "reference"],
    ["<a>&#x110000;</a>", "reference"],
    ["<a>&#xFFFFFFFFFF;</a>", "reference"],
    ["<a>\0</a>", "character"],
    ["<a>\x1b[31m</a>", "character"],
    ["<a>\uffff</a>", "character"],
    ['<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "dtd"],
    ['<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "dtd"],
    ['<a><!ENTITY b "c"></a>', "dtd"],
    ["<a>".repeat(17), "depth"],
    ["<a>".repeat(2000), "depth"],
  ];
  for (const [text, kind] of table) {
    test(`${JSON.stringify(text.slice(0, 40))}: ${kind}`, () =>
      expect(read(text)).toEqual({ ok: false, error: { kind } }));
  }
  test("bytes that are no UTF-8", () => {
    expect(readXml(Uint8Array.of(0x3c, 0x61, 0x2f, 0x3e, 0xff), MAX_BYTES)).toEqual({
      ok: false,
      error: { kind: "encoding" },
    });
  });
  test("one byte too many", () => {
    const text = `<a>${"x".repeat(MAX_BYTES - 7)}</a>`;
    expect(read(text).ok).toBe(true);
    expect(read(`${text} `)).toEqual({ ok: false, error: { kind: "too-long" } });
  });
});

describe("written", () => {
  test("what no document may hold is left out", () => {
    expect(escapeXml("a\0\x1b\x08b\ud800c\ufffe\t\n\u{1f600}")).toBe("abc\t\n\u{1f600}");
  });
  test("any text comes back, but for those characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const back = read(textElement("a", text));
        expect(back).toEqual({
          ok: true,
          value: leaf("a", text.replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "")),
        });
      }),
    );
  });
});

test("random input never throws", () => {
  const piece = fc.constantFrom(
    "<",
    ">",
    "/",
    "a",
    ":",
    "=",
    '"',
    "&",
    ";",
    "#",
    "!",
    "--",
    "?",
    "[CDATA[",
    "]]>",
    " ",
    "xmlns",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => typeof read(pieces.join("")).ok === "boolean"),
    { numRuns: 2000 },
  );
});
