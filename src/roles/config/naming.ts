const MAX_NAME_CHARS = 60;

/** A forward's id: from its name, or from what it is. */
export type IdOf = (kind: string, name: string | undefined, content: object) => string;

/** The same on every run, wherever the entry stands in the file: a reload keeps what did not change. */
export function stableId(kind: string, name: string | undefined, content: object): string {
  if (name !== undefined) return `${kind}/${name}`;
  return `${kind}/${Bun.hash(JSON.stringify(content)).toString(36)}`;
}

export function titleOf(name: string | undefined, ports: string): string {
  const title = name ?? ports;
  return title.length <= MAX_NAME_CHARS ? title : `${title.slice(0, MAX_NAME_CHARS - 1)}…`;
}
