import { CONSOLES } from "./consoles.ts";
import { MATCH_GAMES } from "./games-matches.ts";
import { SURVIVAL_GAMES } from "./games-survival.ts";
import { MEDIA_AND_HOME } from "./media-and-home.ts";
import { PEER_TO_PEER } from "./p2p.ts";
import type { PresetRow } from "./preset.ts";
import { REMOTE_ACCESS } from "./remote-access.ts";
import { SERVERS } from "./servers.ts";
import { TABLETOP } from "./tabletop.ts";

/** All of them, in the order in which lists show them. */
export const PRESETS: readonly PresetRow[] = [
  ...SURVIVAL_GAMES,
  ...MATCH_GAMES,
  ...TABLETOP,
  ...CONSOLES,
  ...REMOTE_ACCESS,
  ...MEDIA_AND_HOME,
  ...SERVERS,
  ...PEER_TO_PEER,
];
