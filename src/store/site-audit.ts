import type { RemoteSpec } from "../core/forward.ts";
import { parseJson } from "../wire/json.ts";
import { z } from "../wire/zod.ts";
import { appendAudit } from "./audit.ts";
import type { Db } from "./schema.ts";

const named = z.object({ site: z.object({ hosts: z.array(z.string()) }) });

interface Holder {
  readonly deviceId: string;
  readonly forwardId: string;
  readonly actor?: string;
}

/** The names that a forward has on the disk; none when it is not there. */
export async function namesHeld(db: Db, { deviceId, forwardId }: Holder): Promise<readonly string[]> {
  const row = await db
    .selectFrom("forwards")
    .select("spec")
    .where("device_id", "=", deviceId)
    .where("spec_id", "=", forwardId)
    .executeTakeFirst();
  const spec = named.safeParse(row === undefined ? null : parseJson(row.spec));
  return spec.success ? spec.data.site.hosts : [];
}

/** Who had which name from when until when, as `ports.granted` and `ports.released` say it of ports. */
export async function tellNames(
  db: Db,
  holder: Holder,
  before: readonly string[],
  after: RemoteSpec["site"],
  nowMs: number,
): Promise<void> {
  const { deviceId, forwardId } = holder;
  const hosts = after?.hosts ?? [];
  if (before.join() === hosts.join()) return;
  const tell = async (action: string, actor: string, names: readonly string[]) => {
    if (names.length === 0) return;
    const detail = { forward: forwardId, names: names.join(", ") };
    await appendAudit(db, { actor, action, subject: `device:${deviceId}`, detail }, nowMs);
  };
  await tell("names.released", holder.actor ?? "relay", before);
  await tell("names.granted", holder.actor ?? `device:${deviceId}`, hosts);
}
