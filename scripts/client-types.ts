// Writes src/library/client-shapes.d.ts: what the API takes and gives, as types that need no zod, for `hatchway/client`.
// Run it after src/servers/api/schema.ts has changed: `node_modules/.bin/bun scripts/client-types.ts`; a test compares.
import { join } from "node:path";
import * as schema from "../src/servers/api/schema.ts";
import { Counters, Endpoint } from "../src/servers/local/schema.ts";
import { z } from "../src/wire/zod.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

export const SHAPES_FILE = join(import.meta.dir, "../src/library/client-shapes.d.ts");

const SHORT_CHARS = 96;
const HEAD = `// Made by scripts/client-types.ts of src/servers/api/schema.ts, which says what each field means: change it there.
// biome-ignore-all format: it is made by a program
`;

/** The file's text, as it should be. */
export function clientShapes(): string {
  const registry = z.registry<{ id: string }>();
  for (const [name, type] of Object.entries({ ...schema, Counters, Endpoint })) {
    if (type instanceof z.ZodType && type !== schema.PageQuery && !registry.has(type)) registry.add(type, { id: name });
  }
  const { schemas } = z.toJSONSchema(registry, { io: "input", uri: (id) => id });
  const types = Object.entries(schemas)
    .toSorted(([a], [b]) => a.localeCompare(b, "en"))
    .map(([name, type]) =>
      isObject(type)
        ? `export interface ${name} ${typeText(type, "")}`
        : `export type ${name} = ${typeText(type, "")};`,
    );
  return `${HEAD}\n${types.join("\n\n")}\n`;
}

function isObject({ type, properties }: JsonSchema): boolean {
  return type === "object" && properties !== undefined;
}

function typeText(type: JsonSchema | boolean, indent: string): string {
  if (typeof type === "boolean") return "unknown";
  if (type.$ref !== undefined) return type.$ref;
  if (type.const !== undefined) return JSON.stringify(type.const);
  if (type.enum !== undefined) return type.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = type.anyOf ?? type.oneOf;
  if (choices !== undefined) return choices.map((one) => typeText(one, indent)).join(" | ");
  const { type: kind } = type;
  if (Array.isArray(kind)) return kind.map((one) => typeText({ ...type, type: one }, indent)).join(" | ");
  switch (kind) {
    case "string":
    case "number":
    case "boolean":
    case "null":
      return kind;
    case "integer":
      return "number";
    case "array":
      return `${type.readOnly === true ? "readonly " : ""}${itemText(type, indent)}[]`;
    case "object":
      return objectText(type, indent);
    case undefined:
      return "unknown";
    default:
      throw new Error(`no type is known for ${JSON.stringify(type)}`);
  }
}

function itemText({ items }: JsonSchema, indent: string): string {
  if (items === undefined || typeof items === "boolean" || Array.isArray(items))
    throw new Error("a list of no one kind");
  const text = typeText(items, indent);
  const isChoice = items.$ref === undefined && [items.enum, items.anyOf, items.oneOf].some((one) => one !== undefined);
  return isChoice || Array.isArray(items.type) ? `(${text})` : text;
}

function objectText(
  { properties, required = [], propertyNames, additionalProperties }: JsonSchema,
  indent: string,
): string {
  if (properties === undefined) {
    const value = typeText(additionalProperties ?? true, indent);
    const names = propertyNames === undefined ? "string" : typeText(propertyNames, indent);
    return names === "string" ? `Record<string, ${value}>` : `Partial<Record<${names}, ${value}>>`;
  }
  const inner = `${indent}  `;
  const fields = Object.entries(properties).map(([name, type]) => {
    // What has a default may be undefined as well as absent.
    const orUndefined = typeof type === "object" && type.default !== undefined ? " | undefined" : "";
    return `readonly ${name}${required.includes(name) ? "" : "?"}: ${typeText(type, inner)}${orUndefined}`;
  });
  const short = `{ ${fields.join("; ")} }`;
  // What has a name is written over several lines.
  if (indent !== "" && short.length <= SHORT_CHARS && !short.includes("\n")) return short;
  return `{\n${fields.map((field) => `${inner}${field};\n`).join("")}${indent}}`;
}

if (import.meta.main) await Bun.write(SHAPES_FILE, clientShapes());
