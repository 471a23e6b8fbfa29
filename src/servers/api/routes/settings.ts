import { needOf } from "../need.ts";
import { type Operation, operation } from "../operation.ts";
import { ReloadReport, Settings } from "../schema.ts";

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
];
