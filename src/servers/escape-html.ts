const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** As text and as an attribute's value in either quotes. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

/** A sentence with what a program reads between backticks, as on a terminal. */
export function sentenceHtml(text: string): string {
  return escaped(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}
