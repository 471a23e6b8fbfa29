/** How our mappings are called in routers' own lists: `Hatchway NAME`. */
const PREFIX = "Hatchway";
/** Some routers refuse or cut longer ones; printable ASCII is what all of them keep. */
const MAX_CHARS = 60;

export function descriptionFor(name: string): string {
  return `${PREFIX} ${name.replace(/[^\x20-\x7e]/g, "?")}`.slice(0, MAX_CHARS);
}

/** Whether a row of a router's list is one of ours. */
export function isOurs(description: string): boolean {
  return description === PREFIX || description.startsWith(`${PREFIX} `);
}
