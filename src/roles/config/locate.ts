/** 1-based, columns in UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface TomlMap {
  /** Where the key of `path` stands (`["expose", 1, "ports"]`); of the nearest parent that is written down if it is not. */
  find(path: readonly PropertyKey[]): Position;
  /** Offsets at which the text can be cut so that each cut leaves whole statements. */
  readonly statementEnds: readonly number[];
  /** The statement that begins at or after the offset. */
  at(offset: number): Position;
}

interface Statement {
  readonly offset: number;
  readonly end: number;
}

const SEPARATOR = "\u0000";
const BARE_KEY = /[A-Za-z0-9_-]/;

/**
 * Finds where keys stand in a TOML text, which the runtime's parser does not say. It reads the shape of statements
 * only (headers, keys, strings, brackets), so it works on a text that is not valid TOML as well; keys inside inline
 * tables are reported at the key that holds the table.
 */
export function mapToml(text: string): TomlMap {
  const positions = new Map<string, number>();
  const statementEnds: number[] = [];
  const statements = [...eachStatement(text)];
  const arrays = new Map<string, number>();
  let table: string[] = [];
  for (const { offset, end } of statements) {
    statementEnds.push(end);
    const isArray = text.startsWith("[[", offset);
    if (isArray || text[offset] === "[") {
      const keys = readKeys(text, offset + (isArray ? 2 : 1));
      table = headerPath(keys, isArray, arrays);
      remember(positions, table, offset);
      if (isArray) remember(positions, table.slice(0, -1), offset);
    } else {
      remember(positions, [...table, ...readKeys(text, offset)], offset);
    }
  }
  const position = (offset: number): Position => {
    const before = text.slice(0, offset);
    return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
  };
  return {
    statementEnds,
    at: (offset) => position(statements.find((statement) => statement.end > offset)?.offset ?? text.length),
    find(path) {
      for (let length = path.length; length > 0; length--) {
        const offset = positions.get(path.slice(0, length).map(String).join(SEPARATOR));
        if (offset !== undefined) return position(offset);
      }
      return { line: 1, column: 1 };
    },
  };
}

function remember(positions: Map<string, number>, path: readonly string[], offset: number): void {
  const key = path.join(SEPARATOR);
  if (!positions.has(key)) positions.set(key, offset);
}

/** The path of a header with the index of each array of tables on the way: `[[expose]]` twice → `expose, 1`. */
function headerPath(keys: readonly string[], isArray: boolean, arrays: Map<string, number>): string[] {
  const path: string[] = [];
  for (const [depth, key] of keys.entries()) {
    path.push(key);
    const name = path.join(SEPARATOR);
    const isLast = depth === keys.length - 1;
    if (isArray && isLast) arrays.set(name, (arrays.get(name) ?? -1) + 1);
    const index = arrays.get(name);
    if (index !== undefined && (isArray || !isLast)) path.push(String(index));
  }
  return path;
}

/** Dotted keys from `offset` to the `=` or `]` behind them. */
function readKeys(text: string, offset: number): string[] {
  const keys: string[] = [];
  let at = offset;
  for (;;) {
    while (text[at] === " " || text[at] === "\t" || text[at] === ".") at++;
    const start = at;
    const quote = text[at];
    if (quote === '"' || quote === "'") {
      const close = text.indexOf(quote, at + 1);
      if (close < 0) return keys;
      keys.push(text.slice(start + 1, close));
      at = close + 1;
      continue;
    }
    while (at < text.length && BARE_KEY.test(text[at] ?? "")) at++;
    if (at === start) return keys;
    keys.push(text.slice(start, at));
  }
}

function* eachStatement(text: string): Generator<Statement> {
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === "#") at = lineEnd(text, at);
    else if (character === " " || character === "\t" || character === "\r" || character === "\n") at++;
    else {
      const end = statementEnd(text, at);
      yield { offset: at, end };
      at = end;
    }
  }
}

/** Behind the line end that is outside of strings and brackets. */
function statementEnd(text: string, offset: number): number {
  let depth = 0;
  let at = offset;
  while (at < text.length) {
    const character = text[at];
    if (character === '"' || character === "'") {
      at = stringEnd(text, at, character);
      continue;
    }
    if (character === "#") {
      at = lineEnd(text, at);
      continue;
    }
    if (character === "[" || character === "{") depth++;
    else if (character === "]" || character === "}") depth = Math.max(0, depth - 1);
    else if (character === "\n" && depth === 0) return at + 1;
    at++;
  }
  return text.length;
}

/** Behind a string: basic or literal, on one line or in triple quotes. A string that is not closed ends with its line. */
function stringEnd(text: string, offset: number, quote: string): number {
  const triple = quote.repeat(3);
  if (text.startsWith(triple, offset)) {
    const close = text.indexOf(triple, offset + 3);
    return close < 0 ? text.length : close + 3;
  }
  for (let at = offset + 1; at < text.length; at++) {
    if (text[at] === "\n") return at;
    if (text[at] === "\\" && quote === '"') at++;
    else if (text[at] === quote) return at + 1;
  }
  return text.length;
}

function lineEnd(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  return end < 0 ? text.length : end;
}
