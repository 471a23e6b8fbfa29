import { z } from "../../wire/zod.ts";
import { Counters, Endpoint } from "../local/schema.ts";
import type { Need } from "./need.ts";
import { mayRepeat, type Operation, successStatus, type Tag } from "./operation.ts";
import {
  BYTES_TYPE,
  EVENTS_TYPE,
  IDEMPOTENCY_HEADER,
  JSON_TYPE,
  LINES_TYPE,
  PAGE_KEY_HEADER,
  PASSPHRASE_HEADER,
  PROBLEM_TYPE,
} from "./protocol.ts";
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

const COMPONENTS = "#/components/schemas/";

const TAGS: readonly { readonly name: Tag; readonly description: string }[] = [
  { name: "Session", description: "Signing in and out." },
  { name: "Me", description: "The asker's own credentials." },
  { name: "People", description: "Users and invitations. For administrators." },
  { name: "Forwards", description: "What is forwarded, from which port to where." },
  { name: "Devices", description: "The agents that have joined." },
  { name: "SSH", description: "Clients that need no agent, by their keys. A server that is no relay answers 404." },
  { name: "Gateway", description: "A gateway's VPN and port triggers. A server that is none answers 404." },
  { name: "Relay", description: "The relay as a whole, and what happens at it." },
  { name: "Checks", description: "What is measured when somebody asks." },
  { name: "Settings", description: "The server itself. For administrators." },
];

const DESCRIPTION = `JSON in camelCase; times in milliseconds since the epoch (\`…Ms\`). Errors are RFC 9457 problems.
Lists come in pages: send \`next\` back as \`cursor\`. Programs send \`Authorization: Bearer TOKEN\`; browsers have a session
cookie, and the page that signed in sends \`${PAGE_KEY_HEADER}\` with every request.`;

const SECURITY_SCHEMES = {
  token: { type: "http", scheme: "bearer", description: "An API token." },
  session: { type: "apiKey", in: "cookie", name: "__Host-hatchway", description: "`hatchway` without TLS." },
  pageKey: { type: "apiKey", in: "header", name: PAGE_KEY_HEADER, description: "The other half of a session." },
};

/** Both together. */
const SESSION = { session: [], pageKey: [] };

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
const PASSPHRASE: OpenApiParameter = {
  name: PASSPHRASE_HEADER,
  in: "header",
  required: true,
  description: "What the file was sealed with: base64url of its UTF-8.",
  schema: { type: "string", minLength: 1, maxLength: 8_192 },
};
const FILE = { schema: { type: "string", format: "binary" } } as const;
const IDEMPOTENCY: OpenApiParameter = {
  name: IDEMPOTENCY_HEADER,
  in: "header",
  required: false,
  description:
    "Sent again with the same key and body within a day, it is done once and answered the same; with another body: 422.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
};

/**
 * The document of the table of routes. Its schemas are zod's own (draft 2020-12, which OpenAPI 3.1 takes as it is):
 * @hono/zod-openapi 1.6.3 does not know `exactOptional`, and says that every such field is required.
 */
export function openApiDocument(operations: readonly Operation[], version: string): OpenApiDocument {
  const schemas = new Schemas(operations);
  const paths: Record<string, Record<string, OpenApiOperation>> = {};
  for (const operation of operations) {
    const methods = paths[operation.path] ?? {};
    methods[operation.method.toLowerCase()] = operationObject(operation, schemas);
    paths[operation.path] = methods;
  }
  return {
    openapi: "3.1.0",
    info: { title: "Hatchway", version, description: DESCRIPTION },
    tags: TAGS,
    paths,
    components: { schemas: schemas.byName, securitySchemes: SECURITY_SCHEMES },
  };
}

/** Schemas of schema.ts have their own names; what only one route has, has the route's. */
class Schemas {
  readonly #registry = z.registry<{ id: string }>();
  readonly #byName: Readonly<Record<string, JsonSchema>>;

  constructor(operations: readonly Operation[]) {
    for (const [name, type] of Object.entries({ ...schema, Counters, Endpoint })) {
      if (type !== schema.PageQuery) this.#add(name, type);
    }
    for (const { id, reply } of operations) this.#add(`${id[0]?.toUpperCase()}${id.slice(1)}Reply`, reply);
    const { schemas } = z.toJSONSchema(this.#registry, {
      io: "input",
      uri: (id) => `${COMPONENTS}${id}`,
      override: ({ jsonSchema }) => withoutNoise(jsonSchema),
    });
    this.#byName = Object.fromEntries(Object.entries(schemas).map(([name, type]) => [name, bare(type)]));
  }

  get byName(): Readonly<Record<string, JsonSchema>> {
    return this.#byName;
  }

  reference(type: z.ZodType): JsonSchema {
    const id = this.#registry.get(type)?.id;
    if (id === undefined) throw new Error("a schema of a route has no name: export it from schema.ts");
    return { $ref: `${COMPONENTS}${id}` };
  }

  #add(id: string, type: unknown): void {
    if (type instanceof z.ZodType && !this.#registry.has(type)) this.#registry.add(type, { id });
  }
}

/** What zod says of its own types, and would say something else to readers: a list that TypeScript keeps unchanged, any integer. */
function withoutNoise(type: JsonSchema): void {
  delete type.readOnly;
  if (type.minimum === Number.MIN_SAFE_INTEGER) delete type.minimum;
  if (type.maximum === Number.MAX_SAFE_INTEGER) delete type.maximum;
}

/** OpenAPI says both for the whole document. */
function bare({ $schema: _dialect, $id: _id, ...rest }: JsonSchema): JsonSchema {
  return rest;
}

function operationObject(operation: Operation, schemas: Schemas): OpenApiOperation {
  const { id, tag, summary, description, need, body, upload } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    parameters: parameters(operation),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { [JSON_TYPE]: { schema: schemas.reference(body) } } } }),
    ...(upload === undefined ? {} : { requestBody: { required: true, content: { [BYTES_TYPE]: FILE } } }),
    responses: {
      [successStatus(operation)]: success(operation, schemas),
      default: {
        description: "A problem (RFC 9457).",
        content: { [PROBLEM_TYPE]: { schema: schemas.reference(schema.Problem) } },
      },
    },
    security: need === null ? [] : need.scope === "person" ? [SESSION] : [{ token: [] }, SESSION],
    "x-hatchway-need": need,
  };
}

function parameters(operation: Operation): OpenApiParameter[] {
  const { path, query, versioned, need, upload } = operation;
  return [
    ...(upload === undefined ? [] : [PASSPHRASE]),
    ...(path.includes("{id}") ? [ID_PARAMETER] : []),
    ...(query === undefined ? [] : queryParameters(query)),
    ...(versioned === true ? [IF_MATCH] : []),
    ...(mayRepeat(operation) && need !== null ? [IDEMPOTENCY] : []),
  ];
}

function queryParameters(query: z.ZodType): OpenApiParameter[] {
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: "output", target: "draft-2020-12" });
  return Object.entries(properties).map(([name, type]) => ({
    name,
    in: "query",
    // A default is always there in the end, and never asked for.
    required: required.includes(name) && !(typeof type === "object" && "default" in type),
    schema: typeof type === "object" ? type : {},
  }));
}

function success(operation: Operation, schemas: Schemas): OpenApiContent & { readonly description: string } {
  const { reply, streams = [], download } = operation;
  if (download !== undefined) return { description: "The file.", content: { [download]: FILE } };
  if (reply === undefined) return { description: "Done." };
  // A route that has nothing but a stream describes what comes in it.
  const types = streams.includes(EVENTS_TYPE) ? streams : [JSON_TYPE, ...streams];
  const content = types.map((type) => [
    type,
    { schema: type === LINES_TYPE ? { type: "string" } : schemas.reference(reply) },
  ]);
  return { description: "Done.", content: Object.fromEntries(content) };
}
