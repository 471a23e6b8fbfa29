import { escaped, sentenceHtml } from "../escape-html.ts";
import type { OpenApiContent, OpenApiDocument, OpenApiOperation } from "./document.ts";

/** A stylesheet of its own: the page has no inline style, and the policy allows none. */
export const REFERENCE_STYLE = `
:root{color-scheme:light dark;--line:#8884;--dim:#666;--accent:#0b57d0}
@media(prefers-color-scheme:dark){:root{--dim:#aaa;--accent:#a8c7fa}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:2rem 1rem;font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:0}
a{color:var(--accent)}
code{font-size:.95em;overflow-wrap:anywhere}
article{border:1px solid var(--line);border-radius:.4rem;padding:.75rem 1rem;margin:.75rem 0}
article p{margin:.25rem 0}
.need{color:var(--dim);font-size:.9rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;margin:.5rem 0}
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}
`;

type JsonSchema = OpenApiDocument["components"]["schemas"][string];
const REFERENCE = "#/components/schemas/";
/** Deeper than any shape of ours: against a schema that has itself in it. */
const MAX_DEPTH = 8;

/** The document as a page to read, without a script. */
export function referencePage(document: OpenApiDocument, stylePath: string): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const sections = document.tags.map(({ name, description }) => {
    const articles = operations
      .filter(({ operation }) => operation.tags.includes(name))
      .map(({ path, method, operation }) => operationHtml(method, path, operation));
    return `<section><h2 id="${escaped(name)}">${escaped(name)}</h2><p>${sentenceHtml(description)}</p>${articles.join("\n")}</section>`;
  });
  const links = document.tags.map(({ name }) => `<a href="#${escaped(name)}">${escaped(name)}</a>`);
  const shapes = Object.entries(document.components.schemas).map(([name, schema]) => shapeHtml(name, schema));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hatchway API</title>
<link rel="stylesheet" href="${escaped(stylePath)}">
</head>
<body>
<main>
<h1>Hatchway API ${escaped(document.info.version)}</h1>
<p>${sentenceHtml(document.info.description)}</p>
<p>For programs: <a href="/openapi.json">openapi.json</a> (OpenAPI ${document.openapi}).</p>
<nav aria-label="Parts"><p>${links.join(" · ")} · <a href="#shapes">Shapes</a></p></nav>
${sections.join("\n")}
<section><h2 id="shapes">Shapes</h2>
${shapes.join("\n")}
</section>
</main>
</body>
</html>
`;
}

function operationHtml(method: string, path: string, operation: OpenApiOperation): string {
  const { operationId, summary, description, parameters, requestBody, responses } = operation;
  const rows = parameters.map(
    ({ name, in: place, required, schema, description: text }) =>
      `<tr><td><code>${escaped(name)}</code></td><td>${place}${required ? "" : ", optional"}</td><td>${typeHtml(schema)}</td><td>${sentenceHtml(text ?? "")}</td></tr>`,
  );
  const answers = Object.entries(responses)
    .filter(([status]) => status !== "default")
    .map(([status, response]) => `<p>Answers ${status}${contentHtml(response)}</p>`);
  return `<article id="${escaped(operationId)}"><h3><code>${method} ${escaped(path)}</code></h3>
<p>${sentenceHtml(summary)}.${description === undefined ? "" : ` ${sentenceHtml(description)}`}</p>
<p class="need">${needWords(operation)}</p>
${rows.length === 0 ? "" : `<div class="scroll"><table><thead><tr><th>Parameter</th><th>Where</th><th>Type</th><th></th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`}
${requestBody === undefined ? "" : `<p>Takes${contentHtml(requestBody)}</p>`}
${answers.join("")}</article>`;
}

function needWords({ "x-hatchway-need": need }: OpenApiOperation): string {
  if (need === null) return "For everybody.";
  const scope = need.scope === "person" ? "a person alone, no token" : `a token with the scope ${need.scope}`;
  return escaped(`For ${need.roles.join(", ")}; ${scope}.`);
}

function contentHtml({ content = {} }: OpenApiContent): string {
  const forms = Object.entries(content).map(
    ([type, { schema }]) => `${typeHtml(schema)} as <code>${escaped(type)}</code>`,
  );
  return forms.length === 0 ? " with nothing." : ` ${forms.join(", or ")}.`;
}

function shapeHtml(name: string, schema: JsonSchema): string {
  const fields = Object.entries(schema.properties ?? {}).map(([field, type]) => {
    const optional = schema.required?.includes(field) === true ? "" : ", optional";
    return `<tr><td><code>${escaped(field)}</code></td><td>${typeof type === "object" ? typeHtml(type) : ""}${optional}</td></tr>`;
  });
  const body =
    fields.length === 0
      ? `<p>${typeHtml(schema)}</p>`
      : `<div class="scroll"><table><thead><tr><th>Field</th><th>Type</th></tr></thead><tbody>${fields.join("")}</tbody></table></div>`;
  return `<article id="shape-${escaped(name)}"><h3><code>${escaped(name)}</code></h3>${body}</article>`;
}

/** A type in words: `string or null`, `list of Forward`, `{id, name}`. */
function typeHtml(schema: JsonSchema, depth = 0): string {
  if (depth > MAX_DEPTH) return "…";
  const inner = (type: unknown): string => (isSchema(type) ? typeHtml(type, depth + 1) : "anything");
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace(REFERENCE, "");
    return `<a href="#shape-${escaped(name)}">${escaped(name)}</a>`;
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return choices.map(inner).join(" or ");
  if (schema.const !== undefined) return `<code>${escaped(JSON.stringify(schema.const))}</code>`;
  if (schema.enum !== undefined)
    return schema.enum.map((value) => `<code>${escaped(JSON.stringify(value))}</code>`).join(" or ");
  if (schema.type === "array") return `list of ${inner(schema.items)}`;
  if (schema.properties !== undefined) {
    const fields = Object.entries(schema.properties).map(([name, type]) => `${escaped(name)}: ${inner(type)}`);
    return `{ ${fields.join(", ")} }`;
  }
  return `${escaped(String(schema.type ?? "anything"))}${bounds(schema)}`;
}

function bounds({ minimum, maximum, minLength, maxLength }: JsonSchema): string {
  const [least, most, unit] =
    minLength === undefined && maxLength === undefined ? [minimum, maximum, ""] : [minLength, maxLength, " characters"];
  if (least === undefined && most === undefined) return "";
  if (most === undefined) return ` (from ${least}${unit})`;
  return ` (${least === undefined ? "up to" : `${least} to`} ${most}${unit})`;
}

function isSchema(type: unknown): type is JsonSchema {
  return typeof type === "object" && type !== null && !Array.isArray(type);
}
