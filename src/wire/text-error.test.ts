import { describe, expect, test } from "bun:test";
import { quoted, renderTextError } from "./text-error.ts";

describe("renderTextError", () => {
  test("the caret line stands under the place", () => {
    const error = { message: "Write the lower port first.", offset: 6, length: 9, suggestion: "8810-8815" };
    expect(renderTextError("8820, 8815-8810", error).split("\n")).toEqual([
      "Write the lower port first.",
      "  8820, 8815-8810",
      "        ^^^^^^^^^",
      "Did you mean 8810-8815?",
    ]);
  });
  test("an empty place has one caret, also after the end", () => {
    expect(renderTextError("80,", { message: "m", offset: 3, length: 0 })).toBe("m\n  80,\n     ^");
  });
  test("tabs and newlines do not move the caret", () => {
    expect(renderTextError("80\t\nx", { message: "m", offset: 4, length: 1 })).toBe("m\n  80  x\n      ^");
  });
  test("of a long text only the surroundings are shown", () => {
    const text = `${"1,".repeat(500)}x${",1".repeat(500)}`;
    const [, shown = "", carets = ""] = renderTextError(text, { message: "m", offset: 1000, length: 1 }).split("\n");
    expect(shown.length).toBe(102);
    expect(shown[carets.indexOf("^")]).toBe("x");
  });
});

test("quoted escapes control characters and cuts long texts", () => {
  expect(quoted("a\u001b[2J\n")).toBe('"a\\u001b[2J\\n"');
  expect(quoted("x".repeat(100)).length).toBe(63);
});
