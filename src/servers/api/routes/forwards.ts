import { z } from "../../../wire/zod.ts";
import type { Versioned } from "../backend.ts";
import { needOf } from "../need.ts";
import { type Operation, operation, pageRequest, Reply } from "../operation.ts";
import { CheckReport, Forward, ForwardDraft, ForwardPatch, ForwardPreview, PageQuery, page } from "../schema.ts";

const id = z.string().min(1).max(512);

export const FORWARD_ROUTES: readonly Operation[] = [
  operation({
    id: "listForwards",
    method: "GET",
    path: "/v1/forwards",
    tag: "Forwards",
    summary: "Lists the forwards",
    description: "`device`: of this one alone, by name or id. `text`: those that have it in their names or ports.",
    need: needOf("read"),
    query: PageQuery.extend({ device: id.exactOptional(), text: z.string().min(1).max(128).exactOptional() }),
    reply: page(Forward),
    run: ({ backend, who, query }) =>
      backend.forwards.listForwards(who, pageRequest(query), {
        device: query.device ?? null,
        text: query.text ?? null,
      }),
  }),
  operation({
    id: "addForward",
    method: "POST",
    path: "/v1/forwards",
    tag: "Forwards",
    summary: "Makes a forward",
    description:
      "Its ports are held from now on; `state` says whether they are open yet. `replace=true`: one of the same name that was made here becomes this one; else that is a conflict.",
    need: needOf("forwards.change"),
    query: z.object({ replace: z.stringbool().default(false) }),
    body: ForwardDraft,
    reply: Forward,
    status: 201,
    async run({ backend, who, query, body }) {
      const { value, version } = await backend.forwards.addForward(who, body, query.replace);
      return new Reply(value, { version, location: `/v1/forwards/${encodeURIComponent(value.id)}` });
    },
  }),
  operation({
    id: "previewForward",
    method: "POST",
    path: "/v1/forwards/preview",
    tag: "Forwards",
    summary: "Says what a forward would do, and opens nothing",
    description: "`replaces`: the id of the forward that it is meant to become.",
    need: needOf("forwards.change"),
    query: z.object({ replaces: id.exactOptional() }),
    body: ForwardDraft,
    reply: ForwardPreview,
    run: ({ backend, who, query, body }) => backend.forwards.previewForward(who, body, query.replaces ?? null),
  }),
  operation({
    id: "getForward",
    method: "GET",
    path: "/v1/forwards/{id}",
    tag: "Forwards",
    summary: "Shows a forward",
    need: needOf("read"),
    reply: Forward,
    run: async ({ backend, who, id }) => versioned(await backend.forwards.getForward(who, id)),
  }),
  operation({
    id: "changeForward",
    method: "PATCH",
    path: "/v1/forwards/{id}",
    tag: "Forwards",
    summary: "Changes a forward",
    description: "What is absent stays as it is; null takes a setting away.",
    need: needOf("forwards.change"),
    body: ForwardPatch,
    reply: Forward,
    versioned: true,
    run: async ({ backend, who, id, body, version }) =>
      versioned(await backend.forwards.changeForward(who, id, body, version)),
  }),
  operation({
    id: "removeForward",
    method: "DELETE",
    path: "/v1/forwards/{id}",
    tag: "Forwards",
    summary: "Closes a forward's ports and removes it",
    need: needOf("forwards.change"),
    versioned: true,
    run: ({ backend, who, id, version }) => backend.forwards.removeForward(who, id, version),
  }),
  operation({
    id: "checkForward",
    method: "POST",
    path: "/v1/forwards/{id}/check",
    tag: "Forwards",
    summary: "Sees whether visitors get in, and if not, which hop fails",
    need: needOf("forwards.check"),
    reply: CheckReport,
    run: ({ backend, who, id }) => backend.forwards.checkForward(who, id),
  }),
];

function versioned({ value, version }: Versioned<Forward>): Reply<Forward> {
  return new Reply(value, { version });
}
