import type { AgentControl, GatewayControl, RelayControl } from "../servers/local/control.ts";

/**
 * The local socket is opened first of all, because it is also the lock on the data directory: nothing there is read or
 * written by two processes. Requests that come before the rest is up wait for it, and fail as the start fails.
 */
export function startingRelay(ready: Promise<RelayControl>): RelayControl {
  return {
    status: async () => (await ready).status(),
    listForwards: async () => (await ready).listForwards(),
    addForward: async (request) => (await ready).addForward(request),
    changeForward: async (idOrName, device, patch) => (await ready).changeForward(idOrName, device, patch),
    removeForward: async (idOrName, device) => (await ready).removeForward(idOrName, device),
    listDevices: async () => (await ready).listDevices(),
    revokeDevice: async (nameOrId) => (await ready).revokeDevice(nameOrId),
    createJoinCode: async (request) => (await ready).createJoinCode(request),
    listPeople: async () => (await ready).listPeople(),
    invitePerson: async (request) => (await ready).invitePerson(request),
    resetPerson: async (request) => (await ready).resetPerson(request),
    changePerson: async (change) => (await ready).changePerson(change),
    removePerson: async (name) => (await ready).removePerson(name),
    listTokens: async (request) => (await ready).listTokens(request),
    makeToken: async (request) => (await ready).makeToken(request),
    removeToken: async (request) => (await ready).removeToken(request),
    reload: async () => (await ready).reload(),
    listSshKeys: async () => (await ready).listSshKeys(),
    addSshKey: async (request) => (await ready).addSshKey(request),
    removeSshKey: async (fingerprintOrComment) => (await ready).removeSshKey(fingerprintOrComment),
    sshHost: async () => (await ready).sshHost(),
    visits: async () => (await ready).visits(),
    audit: async (request) => (await ready).audit(request),
    handOver: async () => (await ready).handOver(),
    declineUpgrade: async (message) => (await ready).declineUpgrade(message),
    upgrade: async (request) => (await ready).upgrade(request),
  };
}

/** The same for a gateway. */
export function startingGateway(ready: Promise<GatewayControl>): GatewayControl {
  return {
    status: async () => (await ready).status(),
    listForwards: async () => (await ready).listForwards(),
    addMapping: async (draft) => (await ready).addMapping(draft),
    changeForward: async (nameOrId, patch) => (await ready).changeForward(nameOrId, patch),
    removeForward: async (nameOrId) => (await ready).removeForward(nameOrId),
    listTriggers: async () => (await ready).listTriggers(),
    addTrigger: async (draft) => (await ready).addTrigger(draft),
    removeTrigger: async (name) => (await ready).removeTrigger(name),
    vpnInit: async (request) => (await ready).vpnInit(request),
    vpnList: async () => (await ready).vpnList(),
    vpnAdd: async (draft) => (await ready).vpnAdd(draft),
    vpnChange: async (nameOrId, change) => (await ready).vpnChange(nameOrId, change),
    vpnRotate: async (nameOrId, keys) => (await ready).vpnRotate(nameOrId, keys),
    vpnRemove: async (nameOrId) => (await ready).vpnRemove(nameOrId),
    listPeople: async () => (await ready).listPeople(),
    invitePerson: async (request) => (await ready).invitePerson(request),
    resetPerson: async (request) => (await ready).resetPerson(request),
    changePerson: async (change) => (await ready).changePerson(change),
    removePerson: async (name) => (await ready).removePerson(name),
    listTokens: async (request) => (await ready).listTokens(request),
    makeToken: async (request) => (await ready).makeToken(request),
    removeToken: async (request) => (await ready).removeToken(request),
    reload: async () => (await ready).reload(),
    visits: async () => (await ready).visits(),
    async *events(request, signal) {
      yield* (await ready).events(request, signal);
    },
    audit: async (request) => (await ready).audit(request),
    stop: async (options) => (await ready).stop(options),
  };
}

/** The same for an agent. */
export function startingAgent(ready: Promise<AgentControl>): AgentControl {
  return {
    status: async () => (await ready).status(),
    listForwards: async () => (await ready).listForwards(),
    addForward: async (spec, options) => (await ready).addForward(spec, options),
    changeForward: async (idOrName, patch) => (await ready).changeForward(idOrName, patch),
    removeForward: async (idOrName) => (await ready).removeForward(idOrName),
    check: async (request) => (await ready).check(request),
    reload: async () => (await ready).reload(),
    visits: async () => (await ready).visits(),
    async *attach(specs, signal) {
      yield* (await ready).attach(specs, signal);
    },
    async *ping(request, signal) {
      yield* (await ready).ping(request, signal);
    },
  };
}
