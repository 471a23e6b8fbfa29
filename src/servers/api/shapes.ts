import { z } from "../../wire/zod.ts";

/** What the API's schemas have in common. */
export const id = z.string().min(1).max(512);
export const name = z.string().min(1).max(64);
/** Milliseconds since the epoch. */
export const timeMs = z.number();
/** As people write it: `8840, 8820` · `8810-8815` · `80/tcp` · `8000:80`. */
export const portSet = z.string().min(1).max(4_096);
export const secret = z.string().min(1).max(1_024);
