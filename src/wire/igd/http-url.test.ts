import { expect, test } from "bun:test";
import { formatHttpUrl, type HttpUrl, parseHttpUrl, resolveHttpUrl } from "./http-url.ts";

const BASE: HttpUrl = { address: "192.168.1.1", port: 5000, path: "/dir/rootDesc.xml" };
const at = (over: Partial<HttpUrl>): HttpUrl => ({ ...BASE, ...over });

const RESOLVED: readonly (readonly [name: string, reference: string, expected: HttpUrl | null])[] = [
  ["from the root", "/ctl/IPConn", at({ path: "/ctl/IPConn" })],
  ["relative", "ctl/IPConn", at({ path: "/dir/ctl/IPConn" })],
  ["up", "../ctl", at({ path: "/ctl" })],
  ["a query alone", "?WANIPConnection", at({ path: "/dir/rootDesc.xml?WANIPConnection" })],
  ["empty: the document itself", "", BASE],
  ["blanks and line ends around", "\n  /ctl/IPConn\r\n ", at({ path: "/ctl/IPConn" })],
  ["absolute, another port", "http://192.168.1.1:80/x", at({ port: 80, path: "/x" })],
  ["absolute, without a port or a path", "http://192.168.1.1", at({ port: 80, path: "/" })],
  ["another host with the same scheme", "//192.168.1.2/x", { address: "192.168.1.2", port: 80, path: "/x" }],
  ["upper case", "HTTP://192.168.1.1:5000/x", at({ path: "/x" })],
  ["without a fragment", "/x#frag", at({ path: "/x" })],
  ["what must be escaped is", "/a b<ü>", at({ path: "/a%20b%3C%C3%BC%3E" })],
  ["a line end inside cannot begin a header", "/x\r\nHost: evil", at({ path: "/xHost:%20evil" })],
  ["IPv6", "http://[FE80::1]:80/x", { address: "fe80::1", port: 80, path: "/x" }],
  ["IPv6 with a zone", "http://[fe80::1%25eth0]:80/x", { address: "fe80::1", port: 80, path: "/x" }],
  ["IPv4 in IPv6", "http://[::ffff:192.168.1.1]/x", { address: "192.168.1.1", port: 80, path: "/x" }],
  ["a number in another base is that number", "http://0xc0a80101/x", { address: "192.168.1.1", port: 80, path: "/x" }],
  ["a name", "http://fritz.box:49000/x", null],
  ["localhost", "http://localhost/x", null],
  ["https", "https://192.168.1.1/x", null],
  ["a file", "file:///etc/passwd", null],
  ["a script", "javascript:alert(1)", null],
  ["credentials", "http://admin:admin@192.168.1.1/", null],
  ["port 0", "http://192.168.1.1:0/", null],
  ["no such port", "http://192.168.1.1:65536/", null],
  ["nothing like it", "http://", null],
  ["endless", `/${"a".repeat(1100)}`, null],
  ["endless once it is escaped", `/${"ü".repeat(400)}`, null],
];

test.each(RESOLVED)("resolved: %s", (_name, reference, expected) => {
  expect(resolveHttpUrl(BASE, reference)).toEqual(expected);
});

test.each(RESOLVED.filter(([, , expected]) => expected !== null))("and back: %s", (_name, _reference, expected) => {
  expect(parseHttpUrl(formatHttpUrl(expected!))).toEqual(expected);
});

test.each(["/x", "", "x", "//192.168.1.1/", "192.168.1.1"])("%j alone is no URL", (text) => {
  expect(parseHttpUrl(text)).toBeNull();
});
