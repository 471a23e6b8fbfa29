import { isIpv6, parseAddress } from "../address.ts";
import { err, ok, type Result } from "../result.ts";
import {
  type Action,
  type Arguments,
  type IgdVersion,
  offeredVersion,
  SERVICES,
  type Service,
  type ServiceName,
  serviceType,
  type Variable,
  type VariableType,
} from "./services.ts";
import type { SoapRequest } from "./soap.ts";
import type { UpnpErrorName } from "./upnp-error.ts";

interface ValueTypes {
  ui2: number;
  ui4: number;
  boolean: boolean;
  /** Without control characters and the blanks around. */
  string: string;
  /** Canonical; null = any, or the caller. */
  ipv4: string | null;
  ipv6: string | null;
  protocol: "tcp" | "udp";
}
type Value = ValueTypes[VariableType];

type VariableOf<S extends ServiceName, V> = V extends keyof (typeof SERVICES)[S]["variables"]
  ? (typeof SERVICES)[S]["variables"][V]
  : never;
type ValuesOf<S extends ServiceName, A> = {
  readonly [N in keyof A]: VariableOf<S, A[N]> extends { readonly type: infer T extends VariableType }
    ? ValueTypes[T]
    : never;
};
type ActionsOf<S extends ServiceName> = (typeof SERVICES)[S]["actions"];
type CallOf<S extends ServiceName> = {
  [A in keyof ActionsOf<S>]: ActionsOf<S>[A] extends { readonly inputs: infer I }
    ? {
        readonly service: S;
        readonly action: A;
        /** Of the service type that the caller named: the answer names the same. */
        readonly version: IgdVersion;
        readonly args: ValuesOf<S, I>;
      }
    : never;
}[keyof ActionsOf<S>];

/** A call whose arguments are checked, by service and action: narrow on `action`, whose names are unique. */
export type ActionCall = { [S in ServiceName]: CallOf<S> }[ServiceName];

/** What the answer to a call says. */
export type OutputsFor<C extends ActionCall> = C extends { service: infer S extends ServiceName; action: infer A }
  ? A extends keyof ActionsOf<S>
    ? ActionsOf<S>[A] extends { readonly outputs: infer O }
      ? ValuesOf<S, O>
      : never
    : never
  : never;

/** `kind` is the UPnP error to answer with; `about` names what is unknown or wrong. */
export interface ActionError {
  readonly kind: Extract<UpnpErrorName, "invalidAction" | "invalidArgs">;
  readonly about: string;
}

const MAX_UI2 = 0xffff;
const MAX_UI4 = 0xffff_ffff;

/** `igd`: what the gateway is to this client. A gateway of version 1 has none of what version 2 brought. */
export function decodeAction(request: SoapRequest, igd: IgdVersion): Result<ActionCall, ActionError> {
  const found = findAction(request, igd);
  if (found === null) return err({ kind: "invalidAction", about: `${request.serviceType}#${request.action}` });
  const args = decodeValues(found.data, found.action.inputs, request.args);
  if (!args.ok) return args;
  // The type follows from the data that findAction and decodeValues went by.
  const { service, version } = found;
  return ok({ service, action: request.action, version, args: args.value } as ActionCall);
}

function findAction(request: SoapRequest, igd: IgdVersion) {
  for (const service of Object.keys(SERVICES) as ServiceName[]) {
    const data: Service = SERVICES[service];
    const offered = offeredVersion(data, igd) ?? 0;
    for (const version of [1, 2] as const) {
      if (version > offered || serviceType(service, version) !== request.serviceType) continue;
      const action = Object.hasOwn(data.actions, request.action) ? data.actions[request.action] : undefined;
      return action === undefined || action.since > version ? null : { service, data, version, action };
    }
  }
  return null;
}

/** What encodeSoapResponse takes as outputs, in the standard's order. */
export function encodeOutputs<C extends ActionCall>(call: C, outputs: OutputsFor<C>): ReadonlyMap<string, string> {
  return encodeValues(SERVICES[call.service], actionData(call).outputs, outputs as Record<string, Value>);
}

/** What decodeSoapReply gave as outputs. */
export function decodeOutputs<C extends ActionCall>(
  call: C,
  texts: ReadonlyMap<string, string>,
): Result<OutputsFor<C>, ActionError> {
  const values = decodeValues(SERVICES[call.service], actionData(call).outputs, texts);
  return values.ok ? ok(values.value as OutputsFor<C>) : values;
}

export function encodeAction(call: ActionCall): SoapRequest {
  return {
    serviceType: serviceType(call.service, call.version),
    action: call.action,
    args: encodeValues(SERVICES[call.service], actionData(call).inputs, call.args as Record<string, Value>),
  };
}

function actionData(call: ActionCall): Action {
  const data: Service = SERVICES[call.service];
  return data.actions[call.action] ?? { since: 1, inputs: {}, outputs: {} };
}

function decodeValues(
  { variables }: Service,
  args: Arguments,
  texts: ReadonlyMap<string, string>,
): Result<Record<string, Value>, ActionError> {
  const values: Record<string, Value> = {};
  for (const [name, variableName] of Object.entries(args)) {
    const variable = variables[variableName];
    const value = variable === undefined ? undefined : decodeValue(variable, texts.get(name) ?? null);
    if (value === undefined) return err({ kind: "invalidArgs", about: name });
    values[name] = value;
  }
  return ok(values);
}

/** Undefined = not a value of this type. */
function decodeValue(variable: Variable, written: string | null): Value | undefined {
  // Control characters would reach lists, logs and terminals.
  const trimmed = written?.replace(/\p{Cc}+/gu, " ").trim() ?? "";
  if (trimmed === "" && variable.whenAbsent === undefined && (variable.type !== "string" || written === null)) {
    return undefined;
  }
  const text = trimmed === "" ? (variable.whenAbsent ?? "") : trimmed;
  switch (variable.type) {
    case "ui2":
      return decodeNumber(text, variable.range ?? [0, MAX_UI2]);
    case "ui4":
      return decodeNumber(text, variable.range ?? [0, MAX_UI4]);
    case "boolean":
      return decodeBoolean(text);
    case "string":
      return text;
    case "ipv4":
      return decodeIp(text, 4);
    case "ipv6":
      return decodeIp(text, 6);
    case "protocol":
      return decodeProtocol(text);
    default:
      return variable.type satisfies never;
  }
}

function decodeNumber(text: string, [min, max]: readonly [number, number]): number | undefined {
  const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : -1;
  return value >= min && value <= max ? value : undefined;
}

/** UPnP Device Architecture 1.1 §2.5: 0 and 1, and for older devices the words. */
function decodeBoolean(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (["1", "true", "yes"].includes(word)) return true;
  return ["0", "false", "no"].includes(word) ? false : undefined;
}

function decodeIp(text: string, family: 4 | 6): string | null | undefined {
  // Some clients write the wildcard as they would in a shell; miniupnpd takes it.
  if (text === "" || text === "*") return null;
  const address = parseAddress(text);
  if (!address.ok) return undefined;
  return isIpv6(address.value) === (family === 6) ? address.value : undefined;
}

function decodeProtocol(text: string): "tcp" | "udp" | undefined {
  const word = text.toLowerCase();
  return word === "tcp" || word === "udp" ? word : undefined;
}

function encodeValues(
  { variables }: Service,
  args: Arguments,
  values: Readonly<Record<string, Value>>,
): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(args).map(([name, variable]) => [
      name,
      encodeValue(variables[variable]?.type, values[name] ?? null),
    ]),
  );
}

function encodeValue(type: VariableType | undefined, value: Value): string {
  if (value === null) return "";
  if (typeof value === "boolean") return value ? "1" : "0";
  // Counters of bytes and packets roll over (WANCommonInterfaceConfig:1).
  if (typeof value === "number") return String(value % (MAX_UI4 + 1));
  return type === "protocol" ? value.toUpperCase() : value;
}
