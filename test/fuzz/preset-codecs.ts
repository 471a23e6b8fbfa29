import { dangersOf } from "../../src/core/presets/dangers.ts";
import { PRESETS } from "../../src/core/presets/presets.ts";
import { findPreset, searchPresets } from "../../src/core/presets/search.ts";
import { parsePortSet } from "../../src/wire/port-set.ts";
import { type FuzzCodec, must, mustEqual, text } from "./codec.ts";

const MAX_DANGERS = 40;

export const presets: readonly FuzzCodec[] = [
  {
    name: "preset-search",
    seeds: text("minecraft", "Counter-Strike 2", "minecarft bedrok", "27015/udp", "münecraft", "7dtd", "", "ﬁvem", "İ"),
    check(input) {
      const query = new TextDecoder().decode(input);
      const found = searchPresets(query);
      mustEqual(new Set(found).size, found.length, "each preset is found once");
      must(query.trim() !== "" || found.length === PRESETS.length, "nothing asked is everything");
      const match = findPreset(query);
      if (match.kind === "one") must(found.includes(match.preset), "what a name means is found by it");
      if (match.kind === "several") {
        must(
          match.presets.every((preset) => found.includes(preset)),
          "what a shared name means is found by it",
        );
      }
      return found.length > 0 && found.length < PRESETS.length;
    },
  },
  {
    name: "preset-dangers",
    seeds: text("3389", "13389:3389", "1-65535", "80/tcp, 443/tcp+udp", "8000-8100:3300-3400/udp", "53", "x"),
    check(input) {
      const ports = new TextDecoder().decode(input);
      const parsed = parsePortSet(ports);
      const dangers = dangersOf(ports);
      must(parsed.ok || dangers.length === 0, "no port set, no danger");
      must(dangers.length <= MAX_DANGERS, "bounded");
      for (const danger of dangers) {
        const named = parsePortSet(danger.ports);
        must(named.ok && danger.sentence.includes(danger.ports), "it names ports that are a port set");
      }
      return parsed.ok;
    },
  },
];
