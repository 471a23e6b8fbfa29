import { describe, expect, test } from "bun:test";
import { z } from "../../wire/zod.ts";
import { openApiDocument } from "./document.ts";
import { referencePage } from "./reference.ts";
import { OPERATIONS } from "./routes.ts";

const document = openApiDocument(OPERATIONS, "1.2.3");
const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));

/** Every object in a value. */
function* objectsIn(value: unknown): Generator<Record<string, unknown>, void, void> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const inner of Object.values(value)) yield* objectsIn(inner);
}

/** What OpenAPI 3.1.0 (§4.8) asks of the objects that are used. Unknown keys are refused unless they begin with x-. */
const extensions = (shape: z.ZodRawShape) => z.strictObject(shape);
const schemaObject = z.looseObject({});
const content = z.record(z.string().regex(/^[\w.+-]+\/[\w.+-]+$/), z.strictObject({ schema: schemaObject }));
const operation = extensions({
  operationId: z.string().regex(/^[a-z]\w*$/i),
  tags: z.array(z.string()),
  summary: z.string().min(1),
  description: z.string().optional(),
  parameters: z.array(
    z.strictObject({
      name: z.string().min(1),
      in: z.enum(["path", "query", "header"]),
      required: z.boolean(),
      description: z.string().optional(),
      schema: schemaObject,
    }),
  ),
  requestBody: z.strictObject({ required: z.literal(true), content }).optional(),
  responses: z.record(
    z.string().regex(/^([1-5]\d\d|default)$/),
    z.strictObject({ description: z.string(), content: content.optional() }),
  ),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  "x-hatchway-need": z.unknown(),
});
const root = extensions({
  openapi: z.string().regex(/^3\.1\.\d+$/),
  info: z.strictObject({ title: z.string(), version: z.string(), description: z.string() }),
  tags: z.array(z.strictObject({ name: z.string(), description: z.string() })),
  paths: z.record(
    z.string().startsWith("/"),
    z.partialRecord(z.enum(["get", "put", "post", "delete", "patch"]), operation),
  ),
  components: z.strictObject({
    schemas: z.record(z.string().regex(/^[\w.-]+$/), schemaObject),
    securitySchemes: z.record(
      z.string(),
      z.union([
        z.strictObject({ type: z.literal("http"), scheme: z.literal("bearer"), description: z.string() }),
        z.strictObject({
          type: z.literal("apiKey"),
          in: z.enum(["cookie", "header"]),
          name: z.string(),
          description: z.string(),
        }),
      ]),
    ),
  }),
});

describe("the document", () => {
  test("has the form of OpenAPI 3.1", () => {
    expect(root.safeParse(document).error).toBeUndefined();
  });

  test("names each operation once, and each tag is explained", () => {
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const tags = new Set<string>(document.tags.map(({ name }) => name));
    expect(operations.flatMap((one) => one.tags).filter((tag) => !tags.has(tag))).toEqual([]);
  });

  test("declares the variables of each path", () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const one of Object.values(methods)) {
        const declared = one.parameters.filter(({ in: place }) => place === "path");
        expect(declared.map(({ name }) => name as string | undefined)).toEqual(inPath);
        expect(declared.every(({ required }) => required)).toBe(true);
        const names = one.parameters.map(({ name, in: place }) => `${place} ${name}`);
        expect(new Set(names).size).toBe(names.length);
      }
    }
  });

  test("refers to what it has, and has nothing that is not used", () => {
    const named = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    const used = new Set([...objectsIn(document)].map((object) => object["$ref"]).filter((ref) => ref !== undefined));
    expect([...used].filter((ref) => typeof ref !== "string" || !named.includes(ref))).toEqual([]);
    expect(named.filter((name) => !used.has(name))).toEqual([]);
  });

  test("has the security schemes that routes ask for", () => {
    const schemes = Object.keys(document.components["securitySchemes"] ?? {});
    const asked = operations.flatMap(({ security }) => security.flatMap((one) => Object.keys(one)));
    expect(new Set(asked)).toEqual(new Set(schemes));
  });

  test("tells what may be absent from what may be null", () => {
    expect(document.components.schemas["ForwardDraft"]?.required).toEqual(["device", "ports"]);
    expect(document.components.schemas["ForwardPatch"]?.required ?? []).toEqual([]);
    const limit = document.paths["/v1/forwards"]?.["get"]?.parameters.find(({ name }) => name === "limit");
    expect(limit).toEqual({
      name: "limit",
      in: "query",
      required: false,
      schema: { default: 100, type: "integer", minimum: 1, maximum: 500 },
    });
  });
});

describe("the reference", () => {
  const page = referencePage(document, "/docs/api.css");

  test("shows every operation and every shape", () => {
    const missing = operations.filter(({ operationId }) => !page.includes(`id="${operationId}"`));
    const shapes = Object.keys(document.components.schemas).filter((name) => !page.includes(`id="shape-${name}"`));
    expect([missing, shapes]).toEqual([[], []]);
  });

  test("leads nowhere that is not there", () => {
    const targets = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id ?? "");
    expect(targets.filter((id) => !page.includes(`id="${id}"`))).toEqual([]);
  });

  test("asks nobody else for anything, and needs no script and no inline style", () => {
    expect(page).not.toMatch(/<script|<img|<iframe|style=|<style|\bon\w+=|(src|href)="(?!\/|#)/);
  });

  test("shows text as text", () => {
    const info = { ...document.info, title: "x", description: "<script>alert(1)</script>" };
    expect(referencePage({ ...document, info }, "/docs/api.css")).not.toContain("<script>");
  });
});
