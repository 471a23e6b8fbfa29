import { parseCidr } from "../../wire/address.ts";
import { ANY_HOST, parseHost } from "../../wire/endpoint.ts";
import { parsePortSet, settleProtocol } from "../../wire/port-set.ts";
import { err, ok, type Result } from "../../wire/result.ts";
import type { TextError } from "../../wire/text-error.ts";
import type { ExitRule } from "../control.ts";

/** `192.168.1.0/24`, `192.168.1.7:22`, `db:5432`, `[2001:db8::]/64:80-90`, `*:443`: what an exit may dial. */
export function parseExitRule(text: string): Result<ExitRule, TextError> {
  const whole = parseCidr(text);
  if (whole.ok) return ok({ host: whole.value, ports: null });
  const bracket = /^\[([^\]]+)\](\/\d{1,3})?(?::(.*))?$/.exec(text);
  const colon = text.lastIndexOf(":");
  const hostText = bracket !== null ? `${bracket[1]}${bracket[2] ?? ""}` : colon < 0 ? text : text.slice(0, colon);
  const portsText = bracket !== null ? bracket[3] : colon < 0 ? undefined : text.slice(colon + 1);
  const host = ruleHost(hostText);
  if (!host.ok) return host;
  if (portsText === undefined) return ok({ host: host.value, ports: null });
  const ports = parsePortSet(portsText);
  if (!ports.ok) return err({ ...ports.error, offset: ports.error.offset + text.length - portsText.length });
  return ok({ host: host.value, ports: settleProtocol(ports.value, "tcp+udp") });
}

function ruleHost(text: string): Result<string, TextError> {
  if (text === ANY_HOST) return ok(ANY_HOST);
  const cidr = parseCidr(text);
  if (cidr.ok || text.includes("/")) return cidr;
  return parseHost(text);
}
