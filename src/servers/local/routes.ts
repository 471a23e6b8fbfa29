import { z } from "../../wire/zod.ts";
import {
  AGENT_CALLS,
  ATTACH_PATH,
  type Call,
  callPath,
  EVENTS_PATH,
  GATEWAY_CALLS,
  type Handlers,
  PING_PATH,
  RELAY_CALLS,
} from "./calls.ts";
import {
  type AgentControl,
  CONTROL_VERSION,
  ControlError,
  type ErrorReply,
  type GatewayControl,
  type RelayControl,
} from "./control.ts";
import { ndjsonStream } from "./ndjson.ts";
import { PingRequest } from "./ping-schema.ts";
import { AttachRequest, EventsRequest } from "./schema.ts";

/** What the local socket answers, by path. */
export type Routes = ReadonlyMap<string, (request: Request) => Promise<Response>>;

export function relayRoutes(control: RelayControl): Routes {
  const handlers: Handlers<typeof RELAY_CALLS> = {
    status: () => control.status(),
    listForwards: () => control.listForwards(),
    addForward: (request) => control.addForward(request),
    changeForward: ({ nameOrId, device, patch }) => control.changeForward(nameOrId, device, patch),
    removeForward: ({ nameOrId, device }) => control.removeForward(nameOrId, device),
    listDevices: () => control.listDevices(),
    revokeDevice: ({ nameOrId }) => control.revokeDevice(nameOrId),
    createJoinCode: async (request) => ({ code: await control.createJoinCode(request) }),
    listPeople: () => control.listPeople(),
    invitePerson: async (request) => ({ link: await control.invitePerson(request) }),
    resetPerson: async (request) => ({ link: await control.resetPerson(request) }),
    changePerson: (change) => control.changePerson(change),
    removePerson: ({ name }) => control.removePerson(name),
    listTokens: (request) => control.listTokens(request),
    makeToken: (request) => control.makeToken(request),
    removeToken: (request) => control.removeToken(request),
    listSshKeys: () => control.listSshKeys(),
    addSshKey: (request) => control.addSshKey(request),
    removeSshKey: ({ fingerprintOrComment }) => control.removeSshKey(fingerprintOrComment),
    sshHost: () => control.sshHost(),
    reload: () => control.reload(),
    visits: () => control.visits(),
    audit: (request) => control.audit(request),
    handOver: async () => ({ socket: await control.handOver() }),
    declineUpgrade: async ({ message }) => {
      await control.declineUpgrade(message);
      return {};
    },
    upgrade: (request) => control.upgrade(request),
  };
  return callRoutes(RELAY_CALLS, handlers);
}

/** `reply`: what a stream that fails ends with. */
export function gatewayRoutes(control: GatewayControl, reply: (error: unknown) => ErrorReply): Routes {
  const handlers: Handlers<typeof GATEWAY_CALLS> = {
    status: () => control.status(),
    listForwards: () => control.listForwards(),
    addMapping: ({ draft }) => control.addMapping(draft),
    changeForward: ({ nameOrId, patch }) => control.changeForward(nameOrId, patch),
    removeForward: ({ nameOrId }) => control.removeForward(nameOrId),
    listTriggers: () => control.listTriggers(),
    addTrigger: ({ draft }) => control.addTrigger(draft),
    removeTrigger: ({ name }) => control.removeTrigger(name),
    vpnInit: (request) => control.vpnInit(request),
    vpnList: () => control.vpnList(),
    vpnAdd: (draft) => control.vpnAdd(draft),
    vpnChange: ({ nameOrId, change }) => control.vpnChange(nameOrId, change),
    vpnRotate: ({ nameOrId, keys }) => control.vpnRotate(nameOrId, keys),
    vpnRemove: ({ nameOrId }) => control.vpnRemove(nameOrId),
    listPeople: () => control.listPeople(),
    invitePerson: async (request) => ({ link: await control.invitePerson(request) }),
    resetPerson: async (request) => ({ link: await control.resetPerson(request) }),
    changePerson: (change) => control.changePerson(change),
    removePerson: ({ name }) => control.removePerson(name),
    listTokens: (request) => control.listTokens(request),
    makeToken: (request) => control.makeToken(request),
    removeToken: (request) => control.removeToken(request),
    reload: () => control.reload(),
    visits: () => control.visits(),
    audit: (request) => control.audit(request),
    stop: async ({ clean }) => {
      await control.stop({ clean });
      return {};
    },
  };
  const events = async (request: Request) => {
    const asked = parse(EventsRequest, await readJson(request));
    return ndjsonStream((signal) => control.events(asked, signal), request.signal, reply);
  };
  return new Map([...callRoutes(GATEWAY_CALLS, handlers), [EVENTS_PATH, events]]);
}

/** `reply`: what a stream that fails ends with. */
export function agentRoutes(control: AgentControl, reply: (error: unknown) => ErrorReply): Routes {
  const handlers: Handlers<typeof AGENT_CALLS> = {
    status: () => control.status(),
    listForwards: () => control.listForwards(),
    addForward: ({ spec, lasting }) => control.addForward(spec, { lasting }),
    changeForward: ({ nameOrId, patch }) => control.changeForward(nameOrId, patch),
    removeForward: ({ nameOrId }) => control.removeForward(nameOrId),
    check: (request) => control.check(request),
    reload: () => control.reload(),
    visits: () => control.visits(),
  };
  const attach = async (request: Request) => {
    const { specs } = parse(AttachRequest, await readJson(request));
    return ndjsonStream((signal) => control.attach(specs, signal), request.signal, reply);
  };
  const ping = async (request: Request) => {
    const asked = parse(PingRequest, await readJson(request));
    return ndjsonStream((signal) => control.ping(asked, signal), request.signal, reply);
  };
  return new Map([...callRoutes(AGENT_CALLS, handlers), [ATTACH_PATH, attach], [PING_PATH, ping]]);
}

function callRoutes<Calls extends Record<string, Call>>(calls: Calls, handlers: Handlers<Calls>): Routes {
  const routes = new Map<string, (request: Request) => Promise<Response>>();
  for (const name of Object.keys(calls) as (keyof Calls & string)[]) {
    const call = calls[name];
    if (call === undefined) continue;
    routes.set(callPath(name), async (request) => {
      const input = parse(call.input, await readJson(request)) as z.infer<Calls[typeof name]["input"]>;
      return Response.json({ v: CONTROL_VERSION, result: await handlers[name](input) });
    });
  }
  return routes;
}

async function readJson(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch (cause) {
    throw new ControlError("usage", "The request is not JSON.", { cause });
  }
}

function parse<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ControlError(
    "usage",
    `The request is not understood: ${z.prettifyError(parsed.error).split("\n").join(" ")}`,
  );
}
