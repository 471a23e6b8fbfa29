import { err, ok, type Result } from "../result.ts";
import { decodeUtf8 } from "../utf8.ts";

/**
 * The XML 1.0 that UPnP devices and control points send each other: elements, text, and the namespaces of elements.
 * Attributes are read and dropped. There are no document types, and so no entities but the five that XML has itself:
 * nothing in a document can make it larger. Bun.XML expands the entities of an internal DTD, and is not pure.
 */
export interface XmlElement {
  /** Without its prefix. */
  readonly name: string;
  /** Null: none, or its prefix is not declared (some routers forget to). */
  readonly namespace: string | null;
  /** What stands directly in it, references resolved. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

export type XmlError =
  /** Over the byte limit. */
  | { readonly kind: "too-long" }
  /** Not UTF-8. */
  | { readonly kind: "encoding" }
  /** A character that XML 1.0 §2.2 excludes. */
  | { readonly kind: "character" }
  | { readonly kind: "dtd" }
  /** A reference to an entity that XML does not define, or to a character that it excludes. */
  | { readonly kind: "reference" }
  /** Elements nest deeper than MAX_DEPTH. */
  | { readonly kind: "depth" }
  /** The document ends too early. */
  | { readonly kind: "truncated" }
  | { readonly kind: "malformed" };

/** A device description of three nested devices needs 9. */
const MAX_DEPTH = 16;
/** `&#x10FFFF;` has 10; nobody's entity is longer than this. */
const MAX_REFERENCE_CHARS = 32;
const BYTE_ORDER_MARK = "\ufeff";
/** What XML 1.0 §2.2 excludes: control characters but TAB, LF and CR, lone surrogates, U+FFFE and U+FFFF. */
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["lt", "<"],
  ["gt", ">"],
  ["amp", "&"],
  ["apos", "'"],
  ["quot", '"'],
]);

/** One pass over the document. */
export function readXml(bytes: Uint8Array, maxBytes: number): Result<XmlElement, XmlError> {
  if (bytes.length > maxBytes) return err({ kind: "too-long" });
  const text = decodeUtf8(bytes);
  if (text === null) return err({ kind: "encoding" });
  if (NOT_XML.test(text)) return err({ kind: "character" });
  // Line ends are LF to the application (XML 1.0 §2.11).
  return readDocument(text.replace(/\r\n?/g, "\n"));
}

interface OpenElement {
  /** As written, with the prefix: the end tag repeats it. */
  readonly qualifiedName: string;
  readonly name: string;
  readonly namespace: string | null;
  readonly bindings: Bindings;
  readonly children: XmlElement[];
  text: string;
}

/** Prefix → namespace; the prefix "" is the default namespace. */
type Bindings = ReadonlyMap<string, string>;

interface StartTag {
  readonly qualifiedName: string;
  readonly bindings: Bindings;
  readonly empty: boolean;
  readonly end: number;
}

function readDocument(text: string): Result<XmlElement, XmlError> {
  const open: OpenElement[] = [];
  let root: XmlElement | null = null;
  let at = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;

  /** Ends the innermost element. */
  function close(): void {
    const element = open.pop();
    if (element === undefined) return;
    const { name, namespace, children } = element;
    const closed = { name, namespace, text: element.text, children };
    const parent = open.at(-1);
    if (parent === undefined) root = closed;
    else parent.children.push(closed);
  }

  while (at < text.length) {
    const current = open.at(-1);
    const markup = text.indexOf("<", at);
    const characters = text.slice(at, markup < 0 ? text.length : markup);
    if (current !== undefined) {
      const resolved = resolveReferences(characters);
      if (resolved === null) return err({ kind: "reference" });
      current.text += resolved;
    } else if (skipBlanks(characters, 0) < characters.length) return err({ kind: "malformed" });
    if (markup < 0) break;

    const skipped = skipEnd(text, markup);
    if (skipped !== null) {
      if (skipped === TRUNCATED) return err({ kind: "truncated" });
      at = skipped;
    } else if (text.startsWith("<![CDATA[", markup)) {
      const start = markup + "<![CDATA[".length;
      const end = text.indexOf("]]>", start);
      if (end < 0) return err({ kind: "truncated" });
      if (current === undefined) return err({ kind: "malformed" });
      current.text += text.slice(start, end);
      at = end + "]]>".length;
    } else if (text.startsWith("<!", markup)) {
      return err({ kind: "dtd" });
    } else if (text.startsWith("</", markup)) {
      const end = text.indexOf(">", markup);
      if (end < 0) return err({ kind: "truncated" });
      const name = text.slice(markup + 2, end).trimEnd();
      if (current?.qualifiedName !== name) return err({ kind: "malformed" });
      close();
      at = end + 1;
    } else {
      if (root !== null) return err({ kind: "malformed" });
      if (open.length === MAX_DEPTH) return err({ kind: "depth" });
      const tag = readStartTag(text, markup + 1);
      if (!tag.ok) return tag;
      const element = newElement(tag.value, open);
      if (element === null) return err({ kind: "malformed" });
      open.push(element);
      if (tag.value.empty) close();
      at = tag.value.end;
    }
  }
  return root === null ? err({ kind: "truncated" }) : ok(root);
}

const TRUNCATED = -1;

/** Where a comment or processing instruction at `at` ends; TRUNCATED when it does not; null when there is none. */
function skipEnd(text: string, at: number): number | null {
  for (const [start, end] of [
    ["<!--", "-->"],
    ["<?", "?>"],
  ] as const) {
    if (!text.startsWith(start, at)) continue;
    const found = text.indexOf(end, at + start.length);
    return found < 0 ? TRUNCATED : found + end.length;
  }
  return null;
}

function newElement({ qualifiedName, bindings }: StartTag, open: readonly OpenElement[]): OpenElement | null {
  const [prefix, name, ...more] = qualifiedName.includes(":") ? qualifiedName.split(":") : ["", qualifiedName];
  if (prefix === undefined || !name || more.length > 0 || qualifiedName.startsWith(":")) return null;
  const namespace =
    bindings.get(prefix) ?? open.findLast((element) => element.bindings.has(prefix))?.bindings.get(prefix);
  return { qualifiedName, name, namespace: namespace || null, bindings, children: [], text: "" };
}

/** A start tag from behind its `<`. */
function readStartTag(text: string, from: number): Result<StartTag, XmlError> {
  let at = nameEnd(text, from);
  const qualifiedName = text.slice(from, at);
  if (at === text.length) return err({ kind: "truncated" });
  if (!isName(qualifiedName)) return err({ kind: "malformed" });
  const bindings = new Map<string, string>();
  for (;;) {
    at = skipBlanks(text, at);
    if (text[at] === ">") return ok({ qualifiedName, bindings, empty: false, end: at + 1 });
    if (text.startsWith("/>", at)) return ok({ qualifiedName, bindings, empty: true, end: at + 2 });
    const end = nameEnd(text, at);
    const name = text.slice(at, end);
    at = skipBlanks(text, end);
    if (at === text.length) return err({ kind: "truncated" });
    const quoteAt = skipBlanks(text, at + 1);
    const quote = text[quoteAt];
    if (!isName(name) || text[at] !== "=") return err({ kind: "malformed" });
    if (quote === undefined) return err({ kind: "truncated" });
    if (quote !== '"' && quote !== "'") return err({ kind: "malformed" });
    const valueEnd = text.indexOf(quote, quoteAt + 1);
    if (valueEnd < 0) return err({ kind: "truncated" });
    const written = text.slice(quoteAt + 1, valueEnd);
    if (written.includes("<")) return err({ kind: "malformed" });
    const value = resolveReferences(written);
    if (value === null) return err({ kind: "reference" });
    const prefix = declaredPrefix(name);
    if (prefix !== null) {
      if (bindings.has(prefix)) return err({ kind: "malformed" });
      bindings.set(prefix, value);
    }
    at = valueEnd + 1;
  }
}

/** The prefix that an attribute of this name declares; null for any other attribute. */
function declaredPrefix(attribute: string): string | null {
  if (attribute === "xmlns") return "";
  return attribute.startsWith("xmlns:") ? attribute.slice("xmlns:".length) : null;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text[at] === " " || text[at] === "\n" || text[at] === "\t") at++;
  return at;
}

function nameEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && !" \n\t<>/=\"'&".includes(text.charAt(at))) at++;
  return at;
}

/** XML 1.0 §2.3, with everything beyond ASCII allowed. */
function isName(text: string): boolean {
  return /^[A-Za-z_:\u0080-\uffff][A-Za-z0-9_:.\u0080-\uffff-]*$/.test(text);
}

/** Null = a reference to something that is not there. A `&` that begins none is itself: upnpc sends descriptions as typed. */
function resolveReferences(text: string): string | null {
  let resolved = "";
  let from = 0;
  for (;;) {
    const ampersand = text.indexOf("&", from);
    if (ampersand < 0) return resolved + text.slice(from);
    resolved += text.slice(from, ampersand);
    const window = text.slice(ampersand + 1, ampersand + MAX_REFERENCE_CHARS);
    const body = window.slice(0, Math.max(0, window.indexOf(";")));
    if (/^#?[A-Za-z0-9]+$/.test(body)) {
      const character = referenced(body);
      if (character === null) return null;
      resolved += character;
      from = ampersand + 1 + body.length + 1;
    } else {
      resolved += "&";
      from = ampersand + 1;
    }
  }
}

function referenced(body: string): string | null {
  if (!body.startsWith("#")) return ENTITIES.get(body) ?? null;
  const digits = /^#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}))$/.exec(body);
  if (digits === null) return null;
  const code = digits[1] !== undefined ? Number.parseInt(digits[1], 16) : Number(digits[2]);
  if (code > 0x10ffff) return null;
  const character = String.fromCodePoint(code);
  return NOT_XML.test(character) ? null : character;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  // A reader makes an LF of a bare one.
  "\r": "&#13;",
};

/** For text and for attribute values; characters that no document may hold are left out. */
export function escapeXml(text: string): string {
  return text.replace(new RegExp(NOT_XML, "gu"), "").replace(/[&<>"'\r]/g, (character) => ESCAPES[character] ?? "");
}

export function textElement(name: string, text: string): string {
  return `<${name}>${escapeXml(text)}</${name}>`;
}

/**
 * An element whose text is a document of its own. As CDATA, which says the same as escaping does: miniupnpc does not
 * resolve references there. A CR, which CDATA cannot hold (XML 1.0 §2.11), makes it escaped after all.
 */
export function documentElement(name: string, document: string): string {
  if (document.includes("\r") || NOT_XML.test(document)) return textElement(name, document);
  return `<${name}><![CDATA[${document.replaceAll("]]>", "]]]]><![CDATA[>")}]]></${name}>`;
}

export const XML_DECLARATION = '<?xml version="1.0"?>\r\n';
