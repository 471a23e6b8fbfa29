import type { RouterIdentity } from "../../core/router/model.ts";

/** Neither protocol has words for what the router is. */
export const NO_IDENTITY: RouterIdentity = { manufacturer: null, model: null, name: null, page: null };
