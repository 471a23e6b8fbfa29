import { join } from "node:path";
import { ROOT } from "../lab/commands.ts";
import { ADDRESS, RELAY_INNER } from "../lab/namespaces.ts";
import type { Site } from "../lab/site.ts";
import { type AskOrder, type AskReport, CLIENTS, clientAddress, type VisitOrder, type VisitReport } from "./plan.ts";

/** A LAN whose hosts ask the router for mappings, and visitors who try them. Ends with `site.clear`. */
export interface Lan {
  ask(order: AskOrder): Promise<AskReport>;
  /** Throws unless each of these mappings leads where it should. Returns how long that took, in milliseconds. */
  visit(order: VisitOrder): Promise<number>;
}

const program = (name: string, ...args: readonly string[]) => [
  process.execPath,
  join(ROOT, "bench/mapping", name),
  ...args,
];

export async function openLan(site: Site): Promise<Lan> {
  await site.namespaces.openRouter(Array.from({ length: CLIENTS }, (_, client) => clientAddress(client)));
  const [clients, visitors] = await Promise.all([
    site.converse("agent", program("clients.ts", RELAY_INNER)),
    site.converse("visitor", program("visitors.ts", ADDRESS.relay)),
  ]);
  return {
    ask: (order) => clients<AskReport>(order),
    async visit(order) {
      const { reached, totalMs, problem } = await visitors<VisitReport>(order);
      if (problem !== null)
        throw new Error(`${order.count - reached} of ${order.count} mappings did not lead: ${problem}`);
      return totalMs;
    },
  };
}

/** Throws unless all are granted, each as it was asked for. */
export async function askAll(lan: Lan, order: AskOrder): Promise<AskReport> {
  const report = await lan.ask(order);
  if (report.refused > 0) throw new Error(`${report.refused} of ${order.count} mappings were refused`);
  if (report.answered < order.count) {
    throw new Error(`${report.answered} of ${order.count} requests were answered in ${order.giveUpMs} ms`);
  }
  return report;
}
