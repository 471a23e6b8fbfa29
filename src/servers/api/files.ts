import { Refusal, Status } from "./problem.ts";

/** A file of the console, ready to be sent. */
export interface StaticFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** As Content-Type says it. */
  readonly type: string;
  /** Any text that differs when the bytes do, without quotes. */
  readonly etag: string;
  /** Its name changes when its bytes do: it is never asked for again. */
  readonly immutable: boolean;
  readonly brotli?: Uint8Array<ArrayBuffer>;
  readonly gzip?: Uint8Array<ArrayBuffer>;
}

/** By path, as `/index.html` and `/assets/app-4f3a1b2c.js`. */
export type StaticFiles = ReadonlyMap<string, StaticFile>;

const INDEX = "/index.html";
const YEAR_SEC = 31_536_000;
const NO_FILE = "There is nothing here: see /docs/api for what there is.";

/** The file, or the index for a path of the console's own; throws a Refusal when there is neither. */
export function fileResponse(files: StaticFiles, request: Request, path: string): Response {
  const file = files.get(path === "/" ? INDEX : path) ?? (isPage(request, path) ? files.get(INDEX) : undefined);
  if (file === undefined) throw new Refusal(Status.notFound, NO_FILE);
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new Refusal(Status.methodNotAllowed, "Files are there to be read.", { headers: { allow: "GET, HEAD" } });
  }
  const [bytes, encoding] = variant(file, request.headers.get("accept-encoding") ?? "");
  const headers = new Headers({
    "content-type": file.type,
    etag: `"${file.etag}${encoding === null ? "" : `-${encoding}`}"`,
    "cache-control": file.immutable ? `public, max-age=${YEAR_SEC}, immutable` : "no-cache",
    vary: "accept-encoding",
  });
  if (encoding !== null) headers.set("content-encoding", encoding);
  if (request.headers.get("if-none-match")?.includes(headers.get("etag") ?? "") === true) {
    return new Response(null, { status: Status.notModified, headers });
  }
  return new Response(request.method === "HEAD" ? null : bytes, { headers });
}

/** A browser asks for a page, whose name the console knows: files have a dot in theirs. */
function isPage(request: Request, path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return !name.includes(".") && request.headers.get("accept")?.includes("text/html") === true;
}

function variant(file: StaticFile, accepted: string): [Uint8Array<ArrayBuffer>, "br" | "gzip" | null] {
  const takes = (encoding: string) =>
    accepted.split(",").some((item) => {
      const [name, ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
      return name === encoding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    });
  if (file.brotli !== undefined && takes("br")) return [file.brotli, "br"];
  if (file.gzip !== undefined && takes("gzip")) return [file.gzip, "gzip"];
  return [file.bytes, null];
}
