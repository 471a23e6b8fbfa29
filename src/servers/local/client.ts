import { errorCode } from "../../os/errors.ts";
import type { z } from "../../wire/zod.ts";
import { AGENT_CALLS, ATTACH_PATH, callPath, EVENTS_PATH, GATEWAY_CALLS, PING_PATH, RELAY_CALLS } from "./calls.ts";
import {
  type AgentControl,
  ControlError,
  type ForwardSpec,
  type GatewayControl,
  type RelayControl,
} from "./control.ts";
import { ndjsonValues } from "./ndjson.ts";
import { PingEvent } from "./ping-schema.ts";
import { AttachEvent, ErrorReply, FollowedEvent } from "./schema.ts";
import type { LocalRole as Role } from "./socket-file.ts";

/** The relay that runs with the socket `path`, as if it were in this process. Nothing is opened before the first call. */
export function relayClient(path: string): RelayControl {
  const call = caller("relay", path);
  return {
    status: () => call("status", RELAY_CALLS.status, {}),
    listForwards: () => call("listForwards", RELAY_CALLS.listForwards, {}),
    addForward: (request) => call("addForward", RELAY_CALLS.addForward, request),
    changeForward: (nameOrId, device, patch) =>
      call("changeForward", RELAY_CALLS.changeForward, { nameOrId, device, patch }),
    removeForward: (nameOrId, device) => call("removeForward", RELAY_CALLS.removeForward, { nameOrId, device }),
    listDevices: () => call("listDevices", RELAY_CALLS.listDevices, {}),
    revokeDevice: (nameOrId) => call("revokeDevice", RELAY_CALLS.revokeDevice, { nameOrId }),
    createJoinCode: async (request) => (await call("createJoinCode", RELAY_CALLS.createJoinCode, request)).code,
    listPeople: () => call("listPeople", RELAY_CALLS.listPeople, {}),
    invitePerson: async (request) => (await call("invitePerson", RELAY_CALLS.invitePerson, request)).link,
    resetPerson: async (request) => (await call("resetPerson", RELAY_CALLS.resetPerson, request)).link,
    changePerson: (change) => call("changePerson", RELAY_CALLS.changePerson, change),
    removePerson: (name) => call("removePerson", RELAY_CALLS.removePerson, { name }),
    listTokens: (request) => call("listTokens", RELAY_CALLS.listTokens, request),
    makeToken: (request) => call("makeToken", RELAY_CALLS.makeToken, request),
    removeToken: (request) => call("removeToken", RELAY_CALLS.removeToken, request),
    listSshKeys: () => call("listSshKeys", RELAY_CALLS.listSshKeys, {}),
    addSshKey: (request) => call("addSshKey", RELAY_CALLS.addSshKey, request),
    removeSshKey: (fingerprintOrComment) => call("removeSshKey", RELAY_CALLS.removeSshKey, { fingerprintOrComment }),
    sshHost: () => call("sshHost", RELAY_CALLS.sshHost, {}),
    reload: () => call("reload", RELAY_CALLS.reload, {}),
    visits: () => call("visits", RELAY_CALLS.visits, {}),
    audit: (request) => call("audit", RELAY_CALLS.audit, request),
    handOver: async () => (await call("handOver", RELAY_CALLS.handOver, {})).socket,
    declineUpgrade: async (message) => {
      await call("declineUpgrade", RELAY_CALLS.declineUpgrade, { message });
    },
    upgrade: (request) => call("upgrade", RELAY_CALLS.upgrade, request),
  };
}

/** The agent that runs with the socket `path`, as if it were in this process. Nothing is opened before the first call. */
export function agentClient(path: string): AgentControl {
  const call = caller("agent", path);
  return {
    status: () => call("status", AGENT_CALLS.status, {}),
    listForwards: () => call("listForwards", AGENT_CALLS.listForwards, {}),
    addForward: (spec, { lasting }) => call("addForward", AGENT_CALLS.addForward, { spec, lasting }),
    changeForward: (nameOrId, patch) => call("changeForward", AGENT_CALLS.changeForward, { nameOrId, patch }),
    removeForward: (nameOrId) => call("removeForward", AGENT_CALLS.removeForward, { nameOrId }),
    check: (request) => call("check", AGENT_CALLS.check, request),
    reload: () => call("reload", AGENT_CALLS.reload, {}),
    visits: () => call("visits", AGENT_CALLS.visits, {}),
    attach: (specs, signal) => attach(path, specs, signal),
    ping(request, signal) {
      const gone = "The agent stopped while it measured: start it again with `hatchway agent`.";
      return stream({ role: "agent", path, url: PING_PATH, body: request, gone }, PingEvent, signal);
    },
  };
}

/** The gateway that runs with the socket `path`, as if it were in this process. Nothing is opened before the first call. */
export function gatewayClient(path: string): GatewayControl {
  const call = caller("gateway", path);
  return {
    status: () => call("status", GATEWAY_CALLS.status, {}),
    listForwards: () => call("listForwards", GATEWAY_CALLS.listForwards, {}),
    addMapping: (draft) => call("addMapping", GATEWAY_CALLS.addMapping, { draft }),
    changeForward: (nameOrId, patch) => call("changeForward", GATEWAY_CALLS.changeForward, { nameOrId, patch }),
    removeForward: (nameOrId) => call("removeForward", GATEWAY_CALLS.removeForward, { nameOrId }),
    listTriggers: () => call("listTriggers", GATEWAY_CALLS.listTriggers, {}),
    addTrigger: (draft) => call("addTrigger", GATEWAY_CALLS.addTrigger, { draft }),
    removeTrigger: (name) => call("removeTrigger", GATEWAY_CALLS.removeTrigger, { name }),
    vpnInit: (request) => call("vpnInit", GATEWAY_CALLS.vpnInit, request),
    vpnList: () => call("vpnList", GATEWAY_CALLS.vpnList, {}),
    vpnAdd: (draft) => call("vpnAdd", GATEWAY_CALLS.vpnAdd, draft),
    vpnChange: (nameOrId, change) => call("vpnChange", GATEWAY_CALLS.vpnChange, { nameOrId, change }),
    vpnRotate: (nameOrId, keys) => call("vpnRotate", GATEWAY_CALLS.vpnRotate, { nameOrId, keys }),
    vpnRemove: (nameOrId) => call("vpnRemove", GATEWAY_CALLS.vpnRemove, { nameOrId }),
    listPeople: () => call("listPeople", GATEWAY_CALLS.listPeople, {}),
    invitePerson: async (request) => (await call("invitePerson", GATEWAY_CALLS.invitePerson, request)).link,
    resetPerson: async (request) => (await call("resetPerson", GATEWAY_CALLS.resetPerson, request)).link,
    changePerson: (change) => call("changePerson", GATEWAY_CALLS.changePerson, change),
    removePerson: (name) => call("removePerson", GATEWAY_CALLS.removePerson, { name }),
    listTokens: (request) => call("listTokens", GATEWAY_CALLS.listTokens, request),
    makeToken: (request) => call("makeToken", GATEWAY_CALLS.makeToken, request),
    removeToken: (request) => call("removeToken", GATEWAY_CALLS.removeToken, request),
    reload: () => call("reload", GATEWAY_CALLS.reload, {}),
    visits: () => call("visits", GATEWAY_CALLS.visits, {}),
    events(request, signal) {
      const gone = "The gateway stopped: start it again with `hatchway gateway`.";
      return stream({ role: "gateway", path, url: EVENTS_PATH, body: request, gone }, FollowedEvent, signal);
    },
    audit: (request) => call("audit", GATEWAY_CALLS.audit, request),
    stop: async ({ clean }) => {
      await call("stop", GATEWAY_CALLS.stop, { clean });
    },
  };
}

/** Whether a live process answers on the socket. Throws ControlError `refused` when it is another user's. */
export async function isRunning(role: Role, path: string): Promise<boolean> {
  try {
    await (await post(role, path, callPath(""), {}, null)).text();
    return true;
  } catch (error) {
    if (error instanceof ControlError && error.kind === "unreachable") return false;
    throw error;
  }
}

function caller(role: Role, path: string) {
  return async <I, O>(
    name: string,
    call: { readonly input: z.ZodType<I>; readonly output: z.ZodType<O> },
    input: I,
  ): Promise<O> => {
    const response = await post(role, path, callPath(name), input, null);
    const body = await replyJson(role, response);
    if (!response.ok) throw asError(role, body);
    const result = call.output.safeParse(
      body !== null && typeof body === "object" && "result" in body ? body.result : undefined,
    );
    if (!result.success) throw otherVersion(role, result.error);
    return result.data;
  };
}

function attach(
  path: string,
  specs: readonly ForwardSpec[],
  signal: AbortSignal,
): AsyncGenerator<AttachEvent, void, void> {
  const gone = "The agent stopped, and the forwards with it: start it again with `hatchway agent`.";
  return stream({ role: "agent", path, url: ATTACH_PATH, body: { specs }, gone }, AttachEvent, signal);
}

interface StreamRequest {
  readonly role: Role;
  readonly path: string;
  readonly url: string;
  readonly body: unknown;
  /** What it means when the other side goes away. */
  readonly gone: string;
}

/** The lines of a streamed answer. Ends quietly on abort, and when the other side ends it in order. */
async function* stream<T>(
  { role, path, url, body, gone }: StreamRequest,
  schema: z.ZodType<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, void> {
  try {
    const response = await post(role, path, url, body, signal);
    if (!response.ok) throw asError(role, await replyJson(role, response));
    if (response.body === null) throw otherVersion(role, null);
    for await (const value of ndjsonValues(response.body)) {
      const line = schema.safeParse(value);
      if (!line.success) throw asError(role, value);
      if (signal.aborted) return;
      yield line.data;
    }
  } catch (cause) {
    if (signal.aborted) return;
    if (cause instanceof ControlError) throw cause;
    throw new ControlError("unreachable", gone, { cause });
  }
}

async function post(
  role: Role,
  path: string,
  url: string,
  body: unknown,
  signal: AbortSignal | null,
): Promise<Response> {
  try {
    return await fetch(`http://hatchway${url}`, {
      unix: path,
      method: "POST",
      body: JSON.stringify(body),
      signal,
      timeout: false,
    } as RequestInit);
  } catch (cause) {
    if (signal?.aborted === true) throw cause;
    const code = errorCode(cause);
    if (code === "EACCES" || code === "EPERM") {
      throw new ControlError("refused", `The socket ${path} belongs to another user: run this command as that user.`, {
        cause,
      });
    }
    const start = { relay: "hatchway serve", agent: "hatchway agent", gateway: "hatchway gateway" }[role];
    throw new ControlError(
      "unreachable",
      `No ${role} answers at ${path}: start one with \`${start}\`, or name its directory with --data.`,
      { cause },
    );
  }
}

async function replyJson(role: Role, response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (cause) {
    throw new ControlError("unreachable", `The ${role} stopped before it answered: start it again.`, { cause });
  }
}

function asError(role: Role, body: unknown): ControlError {
  const reply = ErrorReply.safeParse(body);
  return reply.success ? new ControlError(reply.data.kind, reply.data.message) : otherVersion(role, reply.error);
}

function otherVersion(role: Role, cause: unknown): ControlError {
  return new ControlError("failed", `The running ${role} speaks another version than this command: restart it.`, {
    cause,
  });
}
