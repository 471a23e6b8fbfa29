import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "../../wire/zod.ts";
import { Counters, Endpoint } from "../local/schema.ts";
import type { Need } from "./need.ts";
import type { Operation, Tag } from "./operation.ts";
import { CSRF_HEADER, EVENTS_TYPE, IDEMPOTENCY_HEADER, JSON_TYPE, LINES_TYPE, PROBLEM_TYPE } from "./protocol.ts";
import * as schema from "./schema.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;
type JsonObject = Readonly<Record<string, unknown>>;

export interface OpenApiParameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description?: string;
  readonly schema: JsonSchema;
}

export interface OpenApiContent {
  readonly content?: Readonly<Record<string, { readonly schema: JsonSchema }>>;
}

export interface OpenApiOperation {
  readonly operationId: string;
  readonly tags: readonly Tag[];
  readonly summary: string;
  readonly description?: string;
  readonly parameters: readonly OpenApiParameter[];
  readonly requestBody?: OpenApiContent & { readonly required: true };
  readonly responses: Readonly<Record<string, OpenApiContent & { readonly description: string }>>;
  readonly security: readonly JsonObject[];
  /** Null: everybody. */
  readonly "x-hatchway-need": Need | null;
}

/** OpenAPI 3.1, as far as this server makes it. */
export interface OpenApiDocument {
  readonly openapi: "3.1.0";
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly tags: readonly { readonly name: Tag; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>>; readonly [kind: string]: JsonObject };
}

const TAGS: readonly { readonly name: Tag; readonly description: string }[] = [
  { name: "Session", description: "Signing in and out." },
  { name: "Me", description: "The asker's own credentials." },
  { name: "People", description: "Users and invitations. For administrators." },
  { name: "Forwards", description: "What is forwarded, from which port to where." },
  { name: "Devices", description: "The agents that have joined." },
  { name: "Relay", description: "The relay as a whole, and what happens at it." },
];

const DESCRIPTION = `JSON in camelCase; times in milliseconds since the epoch (\`…Ms\`). Errors are RFC 9457 problems.
Lists come in pages: send \`next\` back as \`cursor\`. Programs send \`Authorization: Bearer TOKEN\`; browsers have a session
cookie, and send \`${CSRF_HEADER}\` with every request that is not GET.`;

const SECURITY_SCHEMES = {
  token: { type: "http", scheme: "bearer", description: "An API token." },
  session: { type: "apiKey", in: "cookie", name: "__Host-hatchway", description: "`hatchway` without TLS." },
};

const ID_PARAMETER: OpenApiParameter = {
  name: "id",
  in: "path",
  required: true,
  schema: { type: "string", minLength: 1, maxLength: 512 },
};
const IF_MATCH: OpenApiParameter = {
  name: "If-Match",
  in: "header",
  required: false,
  description: "The `ETag` of what was read. When it has changed since: 412. Absent: whatever it is.",
  schema: { type: "string" },
};
const IDEMPOTENCY: OpenApiParameter = {
  name: IDEMPOTENCY_HEADER,
  in: "header",
  required: false,
  description: "Sent again with the same key and body within a day, it is done once and answered the same; with another body: 422.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
};

export function openApiDocument(operations: readonly Operation[], version: string): OpenApiDocument {
  const schemas = componentSchemas(operations);
  const app = new OpenAPIHono();
  for (const operation of operations) {
    app.openAPIRegistry.registerPath({
      method: operation.method.toLowerCase() as Lowercase<Operation["method"]>,
      path: operation.path,
      ...operationObject(operation, schemas.all),
    });
  }
  const made = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Hatchway", version, description: DESCRIPTION },
    tags: [...TAGS],
  });
  return {
    openapi: "3.1.0",
    info: { title: "Hatchway", version, description: DESCRIPTION },
    tags: TAGS,
    paths: made.paths as OpenApiDocument["paths"],
    components: { schemas: schemas.named, securitySchemes: SECURITY_SCHEMES },
  };
}
