import { ApiFailure, type ForwardsBackend, type PageRequest, type Principal, type Versioned } from "./backend.ts";
import { FAKE_ACCOUNTS } from "./fake-access.ts";
import {
  FAKE_NOW_MS,
  FAKE_OVERVIEW,
  FAKE_REPORT,
  fakeAuditEntry,
  fakeDevice,
  fakeForward,
  fakeVisit,
} from "./fake-data.ts";
import { pageOf } from "./fake-page.ts";
import type { Device, Forward, ForwardDraft, ForwardPatch, JoinCodeDraft, LiveEvent, Site, Visit } from "./schema.ts";

const AUDIT_ENTRIES = 1_200;

/** What a relay has, in memory: `web` of one account and `game` of another, each with a device and a visit. */
export class FakeForwards implements ForwardsBackend {
  readonly devices = new Map<string, Device>();
  readonly all = new Map<string, Forward>();
  readonly visits = new Map<string, Visit & { readonly accountId: string }>();
  readonly #versions = new Map<string, number>();
  readonly #listeners = new Set<(event: LiveEvent) => void>();
  #changed = Promise.withResolvers<void>();
  #count = 0;

  constructor() {
    this.#seed("1", "den", "web", FAKE_ACCOUNTS.house);
    this.#seed("2", "loft", "game", FAKE_ACCOUNTS.others);
  }

  /** Resolves once so many follow the events. */
  async followed(count: number): Promise<void> {
    while (this.#listeners.size !== count) await this.#changed.promise;
  }

  emit(event: LiveEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  async overview() {
    return FAKE_OVERVIEW;
  }
  async traffic(
    who: Principal,
    { span, forward, device }: { span: "hour" | "day"; sinceMs: number; forward: string | null; device: string | null },
  ) {
    const carried = { bytesIn: 10, bytesOut: 20, visitors: 1 };
    const forwards = [...this.all.values()]
      .filter(({ id, account }) => sees(who, account.id) && (forward === null || id === forward))
      .filter((one) => device === null || one.device.id === device)
      .map(({ id, name, device: of }) => ({ id, name, device: of, ...carried }));
    return { span, slots: forwards.length === 0 ? [] : [{ slotMs: FAKE_NOW_MS, ...carried }], forwards };
  }
  async listForwards(who: Principal, page: PageRequest, filter: { device: string | null; text: string | null }) {
    const { device, text } = filter;
    const found = [...this.all.values()].filter(
      (forward) =>
        sees(who, forward.account.id) &&
        (device === null || forward.device.id === device || forward.device.name === device) &&
        (text === null || forward.name.includes(text)),
    );
    return pageOf(found, page);
  }
  async getForward(who: Principal, id: string) {
    return this.#versioned(this.#forward(who, id));
  }
  async previewForward(who: Principal, { device, ports }: ForwardDraft) {
    this.#device(who, device);
    return { meaning: [`TCP ${ports}`], problems: [], warnings: [] };
  }
  async addForward(who: Principal, draft: ForwardDraft, replace: boolean) {
    if (draft.ports === "7744") throw new ApiFailure("conflict", "Port 7744 is the relay's own: take another.");
    this.#count++;
    const device = this.#device(who, draft.device);
    const name = draft.name ?? draft.ports;
    const present = [...this.all.values()].find((one) => one.device.id === device.id && one.name === name);
    if (present !== undefined && !replace) throw new ApiFailure("conflict", `There is a forward "${name}" already.`);
    const made = fakeForward(present?.id ?? `f-new-${this.#count}`, name, draft.ports, device);
    const forward = { ...made, site: fakeSite(null, draft) };
    this.#put(forward);
    this.emit({ event: "forward", forward });
    return this.#versioned(forward);
  }
  async changeForward(who: Principal, id: string, patch: ForwardPatch, version: string | null) {
    const before = this.#forward(who, id);
    this.#mustBe(id, version);
    const { ports, name, enabled } = patch;
    this.#put({
      ...before,
      ports: ports ?? before.ports,
      name: name ?? before.name,
      enabled: enabled ?? before.enabled,
      site: fakeSite(before.site, patch),
    });
    return this.#versioned(this.#forward(who, id));
  }
  async removeForward(who: Principal, id: string, version: string | null) {
    this.#forward(who, id);
    this.#mustBe(id, version);
    this.all.delete(id);
  }
  async checkForward(who: Principal, id: string) {
    this.#forward(who, id);
    return FAKE_REPORT;
  }
  async listDevices(who: Principal, page: PageRequest) {
    return pageOf(
      [...this.devices.values()].filter(({ account }) => sees(who, account.id)),
      page,
    );
  }
  async getDevice(who: Principal, id: string) {
    return this.#device(who, id);
  }
  async removeDevice(who: Principal, id: string) {
    this.devices.delete(this.#device(who, id).id);
  }
  async makeJoinCode(who: Principal, { name, account, lifetimeSec }: JoinCodeDraft) {
    if (account !== undefined && !sees(who, account)) throw missing("account");
    const code = `HW-${name}`;
    return { code, command: `hatchway join ${code}`, expiresMs: FAKE_NOW_MS + lifetimeSec * 1_000 };
  }
  async listVisits(who: Principal, page: PageRequest) {
    return pageOf(
      [...this.visits.values()].filter(({ accountId }) => sees(who, accountId)),
      page,
    );
  }
  async endVisit(who: Principal, id: string) {
    const visit = this.visits.get(id);
    if (visit === undefined || !sees(who, visit.accountId)) throw missing("visit");
    this.visits.delete(id);
  }
  async listAudit(_who: Principal, page: PageRequest) {
    return pageOf(
      Array.from({ length: AUDIT_ENTRIES }, (_, index) => fakeAuditEntry(AUDIT_ENTRIES - index)),
      page,
    );
  }
  async *events(_who: Principal, signal: AbortSignal): AsyncGenerator<LiveEvent, void, void> {
    const waiting: LiveEvent[] = [];
    let wake = Promise.withResolvers<void>();
    const listener = (event: LiveEvent) => {
      waiting.push(event);
      wake.resolve();
    };
    const end = () => wake.resolve();
    this.#listeners.add(listener);
    this.#tell();
    signal.addEventListener("abort", end, { once: true });
    try {
      while (!signal.aborted) {
        yield* waiting.splice(0);
        await wake.promise;
        wake = Promise.withResolvers();
      }
    } finally {
      this.#listeners.delete(listener);
      this.#tell();
      signal.removeEventListener("abort", end);
    }
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
  #seed(number: string, deviceName: string, forwardName: string, account: { id: string; name: string }): void {
    const device = fakeDevice(`d-${number}`, deviceName, account);
    const forward = fakeForward(`f-${number}`, forwardName, `884${number}`, device);
    this.devices.set(device.id, device);
    this.#put(forward);
    this.visits.set(`v-${number}`, { ...fakeVisit(`v-${number}`, forward), accountId: account.id });
  }
  #put(forward: Forward): void {
    this.all.set(forward.id, forward);
    this.#versions.set(forward.id, (this.#versions.get(forward.id) ?? 0) + 1);
  }
  #versioned(forward: Forward): Versioned<Forward> {
    return { value: forward, version: `v${this.#versions.get(forward.id)}` };
  }
  #mustBe(id: string, version: string | null): void {
    if (version === null || version === `v${this.#versions.get(id)}`) return;
    throw new ApiFailure("changed", "Somebody else changed it: read it again.");
  }
  #forward(who: Principal, id: string): Forward {
    const forward = this.all.get(id);
    if (forward === undefined || !sees(who, forward.account.id)) throw missing("forward");
    return forward;
  }
  #device(who: Principal, nameOrId: string): Device {
    const device = [...this.devices.values()].find(({ id, name }) => id === nameOrId || name === nameOrId);
    if (device === undefined || !sees(who, device.account.id)) throw missing("device");
    return device;
  }
}

/** One name is somebody else's. */
function fakeSite(before: Site | null, { host, tls, http2, logins }: ForwardPatch): Site | null {
  const hosts = host ?? before?.hosts;
  if (hosts === undefined) return null;
  const taken = 'The name taken.example.org is held by device "loft": choose another name.';
  if (hosts.includes("taken.example.org")) {
    throw new ApiFailure("conflict", taken, { errors: [{ path: "host", message: taken }] });
  }
  const users = logins?.map(({ user }) => user);
  return {
    hosts,
    tls: tls ?? before?.tls ?? "end",
    http2: http2 ?? before?.http2 ?? false,
    users: users ?? before?.users ?? [],
  };
}

function sees(who: Principal, accountId: string): boolean {
  return who.role === "admin" || who.accountId === accountId;
}

function missing(what: string): ApiFailure {
  return new ApiFailure("not-found", `There is no such ${what}.`);
}
