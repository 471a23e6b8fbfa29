import type { Forward, ForwardDraft, ForwardPatch } from "../../servers/api/schema.ts";
import type { PortSet } from "../../wire/port-set.ts";
import { type SiteFields, siteDraft, siteFieldsOf, sitePatch } from "./site-draft.ts";
import type { ProtocolChoice } from "./words.ts";

/** A forward as its form holds it: every field a text, as it is typed. */
export interface ForwardFields {
  /** An id; with `lan` the address or name of a host, as it is typed. */
  readonly device: string;
  /** On a gateway: it leads to a host of its LAN. */
  readonly lan: boolean;
  readonly ports: string;
  readonly to: string;
  readonly protocol: ProtocolChoice;
  readonly name: string;
  /** Networks and addresses, separated by commas or white space. */
  readonly allow: string;
  readonly deny: string;
  readonly connections: string;
  readonly connectionsPerSource: string;
  readonly newPerSource: string;
  readonly bandwidth: string;
  readonly proxyProtocol: "" | "v1" | "v2";
  readonly healthCheck: boolean;
  /** Null = it is reached by ports, and else they say nothing. */
  readonly site: SiteFields | null;
}

export function emptyFields(device: string): ForwardFields {
  return {
    device,
    lan: false,
    ports: "",
    to: "",
    protocol: "tcp",
    name: "",
    allow: "",
    deny: "",
    connections: "",
    connectionsPerSource: "",
    newPerSource: "",
    bandwidth: "",
    proxyProtocol: "",
    healthCheck: false,
    site: null,
  };
}

const numberText = (value: number | null): string => (value === null ? "" : String(value));
const list = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

const RATES = [
  [1e9, "GB/s"],
  [1e6, "MB/s"],
  [1e3, "kB/s"],
] as const;

export function bandwidthText(bytesPerSec: number | null): string {
  if (bytesPerSec === null) return "";
  const unit = RATES.find(([bytes]) => bytesPerSec % bytes === 0);
  return unit === undefined ? `${bytesPerSec} B/s` : `${bytesPerSec / unit[0]} ${unit[1]}`;
}

function rateText(perSec: number | null): string {
  if (perSec === null) return "";
  return Number.isInteger(perSec) ? `${perSec}/s` : `${Math.round(perSec * 60)}/m`;
}

/** Of ports that do not say it themselves, as they were opened. */
function protocolOf({ endpoints }: Forward): ProtocolChoice {
  const protocols = new Set(endpoints.map(({ protocol }) => protocol));
  if (protocols.size === 2) return "tcp+udp";
  return protocols.has("udp") ? "udp" : "tcp";
}

export function fieldsOf(forward: Forward): ForwardFields {
  const { limits } = forward;
  return {
    device: forward.device.id,
    lan: forward.way === "kernel",
    ports: forward.ports,
    to: forward.to ?? "",
    protocol: protocolOf(forward),
    name: forward.name,
    allow: forward.allow.join(", "),
    deny: forward.deny.join(", "),
    connections: numberText(limits.connections),
    connectionsPerSource: numberText(limits.connectionsPerSource),
    newPerSource: rateText(limits.newPerSourcePerSec),
    bandwidth: bandwidthText(limits.bandwidthBytesPerSec),
    proxyProtocol: forward.proxyProtocol ?? "",
    healthCheck: forward.healthCheck,
    site: siteFieldsOf(forward),
  };
}

/** What is empty is left out: the server has its own default. So is what a kernel does not do: its fields are not shown. */
export function draftOf(fields: ForwardFields, way: Forward["way"]): ForwardDraft {
  const allow = list(fields.allow);
  const deny = list(fields.deny);
  return {
    device: fields.device.trim(),
    ...(fields.site === null ? { ports: fields.ports.trim(), protocol: fields.protocol } : siteDraft(fields.site)),
    ...(fields.name.trim() === "" ? {} : { name: fields.name.trim() }),
    ...(allow.length === 0 ? {} : { allow }),
    ...(deny.length === 0 ? {} : { deny }),
    ...(fields.connectionsPerSource === "" ? {} : { connectionsPerSource: Number(fields.connectionsPerSource) }),
    ...(fields.newPerSource.trim() === "" ? {} : { newPerSource: fields.newPerSource.trim() }),
    ...(way === "kernel" ? {} : tunnelPart(fields)),
  };
}

function tunnelPart(fields: ForwardFields): Partial<ForwardDraft> {
  return {
    ...(fields.to.trim() === "" ? {} : { to: fields.to.trim() }),
    ...(fields.connections === "" ? {} : { connections: Number(fields.connections) }),
    ...(fields.bandwidth.trim() === "" ? {} : { bandwidth: fields.bandwidth.trim() }),
    ...(fields.proxyProtocol === "" ? {} : { proxyProtocol: fields.proxyProtocol }),
    ...(fields.healthCheck ? { healthCheck: true } : {}),
  };
}

/** Only what a person changed: what the form shows rounded, or not at all, stays as it is. */
export function patchOf(before: ForwardFields, after: ForwardFields): ForwardPatch {
  const changed = (key: keyof ForwardFields) => before[key] !== after[key];
  const orNull = (text: string): string | null => (text.trim() === "" ? null : text.trim());
  const numberOrNull = (text: string): number | null => (text === "" ? null : Number(text));
  return {
    ...placePatch(before, after),
    ...(changed("to") ? { to: orNull(after.to) } : {}),
    ...(changed("name") && after.name.trim() !== "" ? { name: after.name.trim() } : {}),
    ...(changed("allow") ? { allow: list(after.allow) } : {}),
    ...(changed("deny") ? { deny: list(after.deny) } : {}),
    ...(changed("connections") ? { connections: numberOrNull(after.connections) } : {}),
    ...(changed("connectionsPerSource") ? { connectionsPerSource: numberOrNull(after.connectionsPerSource) } : {}),
    ...(changed("newPerSource") ? { newPerSource: orNull(after.newPerSource) } : {}),
    ...(changed("bandwidth") ? { bandwidth: orNull(after.bandwidth) } : {}),
    ...(changed("proxyProtocol") ? { proxyProtocol: after.proxyProtocol === "" ? null : after.proxyProtocol } : {}),
    ...(changed("healthCheck") ? { healthCheck: after.healthCheck } : {}),
  };
}

/** Where visitors come in. */
function placePatch(before: ForwardFields, after: ForwardFields): ForwardPatch {
  if (before.site !== null && after.site !== null) return sitePatch(before.site, after.site);
  // The ports are settled by the protocol: one without the other would mean something else.
  const isSame = before.ports === after.ports && before.protocol === after.protocol;
  return isSame ? {} : { ports: after.ports.trim(), protocol: after.protocol };
}

/** Whether the choice of protocol does anything: some ports do not say theirs. */
export function wantsProtocol(set: PortSet | null): boolean {
  return set === null || set.ranges.some(({ protocol }) => protocol === null);
}
