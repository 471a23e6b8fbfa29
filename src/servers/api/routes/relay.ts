import { z } from "../../../wire/zod.ts";
import type { CountriesBackend, Page, PageRequest } from "../backend.ts";
import { needOf } from "../need.ts";
import { type Operation, onePage, operation, pageRequest } from "../operation.ts";
import { EVENTS_TYPE, LINES_TYPE } from "../protocol.ts";
import { AuditEntry, LiveEvent, Overview, PageQuery, Preset, page, TrafficReport, Visit } from "../schema.ts";

async function withCountries(countries: CountriesBackend | null, visits: Page<Visit>): Promise<Page<Visit>> {
  if (countries === null) return visits;
  const codes = await countries.countriesOf(visits.items.map(({ visitor }) => addressOf(visitor)));
  return { ...visits, items: visits.items.map((visit, at) => ({ ...visit, country: codes[at] ?? null })) };
}

/** Of `address:port`, and of `[address]:port`. */
function addressOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

/** Of a list that is told whole, as lines. */
const LINES_PAGE = 500;

export const RELAY_ROUTES: readonly Operation[] = [
  operation({
    id: "getOverview",
    method: "GET",
    path: "/v1/overview",
    tag: "Relay",
    summary: "Says how the relay is",
    need: needOf("read"),
    reply: Overview,
    run: ({ backend, who }) => backend.forwards.overview(who),
  }),
  operation({
    id: "listVisits",
    method: "GET",
    path: "/v1/visits",
    tag: "Relay",
    summary: "Lists the visits that are open now",
    need: needOf("read"),
    query: PageQuery,
    reply: page(Visit),
    run: async ({ backend, who, query }) =>
      withCountries(backend.countries, await backend.forwards.listVisits(who, pageRequest(query))),
  }),
  operation({
    id: "endVisit",
    method: "DELETE",
    path: "/v1/visits/{id}",
    tag: "Relay",
    summary: "Cuts a visit",
    need: needOf("visits.end"),
    run: ({ backend, who, id }) => backend.forwards.endVisit(who, id),
  }),
  operation({
    id: "getTraffic",
    method: "GET",
    path: "/v1/traffic",
    tag: "Relay",
    summary: "Says what forwards carried",
    description:
      "By the hour for the last two weeks, or by the day for 400 days, up to a minute ago. `sinceMs`: slots that began before it are left out. `forward`, `device`: of this one alone, by id, also when it is gone.",
    need: needOf("read"),
    query: z.object({
      span: z.enum(["hour", "day"]).default("hour"),
      sinceMs: z.coerce.number().int().min(0).default(0),
      forward: z.string().min(1).max(512).exactOptional(),
      device: z.string().min(1).max(512).exactOptional(),
    }),
    reply: TrafficReport,
    run: ({ backend, who, query }) =>
      backend.forwards.traffic(who, { ...query, forward: query.forward ?? null, device: query.device ?? null }),
  }),
  operation({
    id: "listAudit",
    method: "GET",
    path: "/v1/audit",
    tag: "Relay",
    summary: "Lists what people did, newest first",
    description: `With \`Accept: ${LINES_TYPE}\` all of it, from \`cursor\` on, one JSON object a line.`,
    need: needOf("audit.read"),
    query: PageQuery,
    reply: page(AuditEntry),
    streams: [LINES_TYPE],
    async run({ backend, who, query, accept, lines }) {
      if (!accept.includes(LINES_TYPE)) return await backend.forwards.listAudit(who, pageRequest(query));
      const ask = (request: PageRequest) => backend.forwards.listAudit(who, request);
      return lines(parsedItems(await ask({ limit: LINES_PAGE, cursor: query.cursor ?? null }), ask));
    },
  }),
  operation({
    id: "listPresets",
    method: "GET",
    path: "/v1/presets",
    tag: "Relay",
    summary: "Lists the ports of well-known programs and consoles",
    description: "`q`: those that a person may mean by it, the likeliest first.",
    need: needOf("read"),
    query: z.object({ q: z.string().max(128).exactOptional() }),
    reply: page(Preset),
    run: async ({ presets, query }) =>
      onePage(query.q === undefined || query.q.trim() === "" ? presets.all : presets.search(query.q)),
  }),
  operation({
    id: "events",
    method: "GET",
    path: "/v1/events",
    tag: "Relay",
    summary: "Tells what happens, from now on",
    description:
      "Server-sent events: `event` names the kind, `data` is the object. Ask for the lists when this has been answered, and again when it begins anew: what changes after that is told. A comment comes every 15 s; the stream ends with the session or token.",
    need: needOf("read"),
    reply: LiveEvent,
    streams: [EVENTS_TYPE],
    run: async ({ backend, who, stream }) => stream((signal) => backend.forwards.events(who, signal)),
  }),
];

/** The first page was asked for before anything was answered, so that a refusal is one. */
async function* parsedItems(
  first: Page<AuditEntry>,
  ask: (request: PageRequest) => Promise<Page<AuditEntry>>,
): AsyncGenerator<AuditEntry, void, void> {
  let { items, next } = first;
  yield* items.map((item) => AuditEntry.parse(item));
  while (next !== null) {
    ({ items, next } = await ask({ limit: LINES_PAGE, cursor: next }));
    yield* items.map((item) => AuditEntry.parse(item));
  }
}
