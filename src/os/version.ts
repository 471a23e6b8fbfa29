import manifest from "../../package.json" with { type: "json" };

/** This program's version, from package.json. */
export const VERSION: string = manifest.version;
/** By its SPDX name. */
export const LICENSE: string = manifest.license;
/** Of the Bun that this version comes with. */
export const BUN_VERSION: string = manifest.dependencies.bun;
