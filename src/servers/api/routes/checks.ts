import { z } from "../../../wire/zod.ts";
import { needOf } from "../need.ts";
import { type Operation, operation } from "../operation.ts";
import { EVENTS_TYPE } from "../protocol.ts";
import { NameQuestion, NameReport, PingEvent, RouterReport } from "../schema.ts";

/** One a second, so a minute at most. */
const MAX_SAMPLES = 60;

export const CHECK_ROUTES: readonly Operation[] = [
  operation({
    id: "pingForward",
    method: "GET",
    path: "/v1/forwards/{id}/ping",
    tag: "Checks",
    summary: "Measures the way to a forward's service, once a second",
    description:
      "Server-sent events: `started`, a `sample` a second, `done`. The link to the device is measured, and a connection to the service through the tunnel, which is ended as soon as it is there. Only TCP can be measured that way. Of one session or token one run goes at a time: the next ends the one before.",
    need: needOf("forwards.check"),
    query: z.object({ samples: z.coerce.number().int().min(1).max(MAX_SAMPLES).default(30) }),
    reply: PingEvent,
    streams: [EVENTS_TYPE],
    run: async ({ backend, who, id, query, stream }) =>
      stream(await backend.checks.pingForward(who, id, query.samples)),
  }),
  operation({
    id: "checkName",
    method: "POST",
    path: "/v1/names/check",
    tag: "Checks",
    summary: "Looks up whether the visitors of a site's name come to this relay",
    description:
      "And if not, which DNS records the name wants. The relay's own machine looks it up, so a resolver elsewhere may know a new record later. Others than administrators ask for names that their account may have.",
    need: needOf("forwards.check"),
    body: NameQuestion,
    reply: NameReport,
    run: ({ backend, who, body }) => backend.checks.checkName(who, body.host),
  }),
  operation({
    id: "askRouter",
    method: "POST",
    path: "/v1/router",
    tag: "Checks",
    summary: "Asks the router of the server's own machine what it is, and whether ports opened on it are reached",
    description:
      "In PCP, NAT-PMP and UPnP. It takes some 3 seconds, and 20 at most. One asks at a time; others are answered 429 meanwhile.",
    need: needOf("network.check"),
    reply: RouterReport,
    run: ({ backend, who, signal }) => backend.checks.askRouter(who, signal),
  }),
];
