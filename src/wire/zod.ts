import { z } from "zod";

// Zod compiles a schema at its first use, which pays after thousands of values. A start uses each schema once or twice
// (7 ms of 12 for a config file, measured), and nothing per visitor is checked by one.
z.config({ jitless: true });

export { z };
