import { describe, expect, test } from "bun:test";
import { mapToml } from "./locate.ts";

describe("places in a TOML text", () => {
  const text = `# [not] a table
a.b = 1
"quoted key" = """
[x]
y = 2
"""
[[expose]]
ports = [ # list
  "80", ']',
]
  deep = { inner = 1 }
[[expose]]
  ports = 'it''s'
[expose.sub]
k = 1
`;
  test.each([
    [["a", "b"], 2, 1],
    [["quoted key"], 3, 1],
    [["expose"], 7, 1],
    [["expose", 0], 7, 1],
    [["expose", 0, "ports", 1], 8, 1],
    [["expose", 0, "deep", "inner"], 11, 3],
    [["expose", 1], 12, 1],
    [["expose", 1, "ports"], 13, 3],
    [["expose", 1, "sub", "k"], 15, 1],
    [["expose", 1, "nowhere"], 12, 1],
    [["nowhere"], 1, 1],
  ])("%j", (path, line, column) => {
    expect(mapToml(text).find(path)).toEqual({ line, column });
  });
});
