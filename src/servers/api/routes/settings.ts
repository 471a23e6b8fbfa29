import { needOf } from "../need.ts";
import { type Operation, operation } from "../operation.ts";
import { BYTES_TYPE } from "../protocol.ts";
import { BackupDraft, PendingRestore, ReloadReport, RestoreInfo, Settings } from "../schema.ts";

/** Far more than the database of a relay with thousands of devices. */
const MAX_RESTORE_BYTES = 256 * 1_024 * 1_024;

export const SETTINGS_ROUTES: readonly Operation[] = [
  operation({
    id: "getSettings",
    method: "GET",
    path: "/v1/settings",
    tag: "Settings",
    summary: "Says what the server is, and the settings in force",
    need: needOf("settings.read"),
    reply: Settings,
    run: ({ backend, who }) => backend.settings.settings(who),
  }),
  operation({
    id: "reload",
    method: "POST",
    path: "/v1/reload",
    tag: "Settings",
    summary: "Reads the config file again and applies what changed",
    description:
      "Connections of unchanged forwards live on. A file with a mistake changes nothing, and is told by line.",
    need: needOf("settings.change"),
    reply: ReloadReport,
    run: ({ backend, who }) => backend.settings.reload(who),
  }),
  operation({
    id: "makeBackup",
    method: "POST",
    path: "/v1/backup",
    tag: "Settings",
    summary: "Makes a backup of all that the server is, sealed with a passphrase",
    description:
      "The database, the keys and certificates made here, and hatchway.toml when it is in the data directory.",
    need: needOf("server.backup"),
    body: BackupDraft,
    download: BYTES_TYPE,
    run: async ({ backend, who, body }) => fileOf(await backend.settings.backup(who, body.passphrase)),
  }),
  operation({
    id: "getRestore",
    method: "GET",
    path: "/v1/restore",
    tag: "Settings",
    summary: "Shows the backup that waits to be restored",
    need: needOf("server.backup"),
    reply: PendingRestore,
    run: ({ backend, who }) => backend.settings.pendingRestore(who),
  }),
  operation({
    id: "checkRestore",
    method: "POST",
    path: "/v1/restore",
    tag: "Settings",
    summary: "Takes a backup in, and looks whether it could be restored",
    description:
      "It is opened and checked wholly, and lies beside what is in use: nothing changes. It takes the place of one that waited.",
    need: needOf("server.backup"),
    upload: { maxBytes: MAX_RESTORE_BYTES },
    reply: RestoreInfo,
    async run({ backend, who, upload }) {
      const { bytes, passphrase } = upload();
      return await backend.settings.checkRestore(who, bytes, passphrase);
    },
  }),
  operation({
    id: "stageRestore",
    method: "POST",
    path: "/v1/restore/stage",
    tag: "Settings",
    summary: "Has the next start of the server take the backup that was checked",
    description: "Whoever is signed in must sign in again then; what was there before is kept in the data directory.",
    need: needOf("server.backup"),
    reply: RestoreInfo,
    run: ({ backend, who }) => backend.settings.stageRestore(who),
  }),
  operation({
    id: "discardRestore",
    method: "DELETE",
    path: "/v1/restore",
    tag: "Settings",
    summary: "Forgets the backup that waits to be restored",
    need: needOf("server.backup"),
    run: ({ backend, who }) => backend.settings.discardRestore(who),
  }),
];

/** As fast as it is read; whoever leaves ends it. */
function fileOf(bytes: AsyncIterable<Uint8Array>): Response {
  const iterator = bytes[Symbol.asyncIterator]();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: { "content-type": BYTES_TYPE, "content-disposition": 'attachment; filename="hatchway.backup"' },
  });
}
