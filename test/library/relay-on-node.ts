import { createInterface } from "node:readline";
import * as library from "../../src/index.ts";
import type { CaseLab } from "./case-kit.ts";
import { type CaseName, runCase } from "./relay-cases.ts";

/** Runs on Node: each line of input is a case, or the answer to what a case asked of the lab; see relay.test.ts. */
const waiting: ((value: never) => void)[] = [];
const ask = (method: string, ...args: unknown[]): Promise<never> => {
  const { promise, resolve } = Promise.withResolvers<never>();
  waiting.push(resolve);
  console.log(JSON.stringify({ ask: method, args }));
  return promise;
};
const lab: CaseLab = {
  joinCode: (name) => ask("joinCode", name),
  restart: () => ask("restart"),
  revoke: (name) => ask("revoke", name),
  ports: (count) => ask("ports", count),
  allow: (port) => ask("allow", port),
  dataDirectory: () => ask("dataDirectory"),
  devices: () => ask("devices"),
};

async function run(name: CaseName): Promise<void> {
  try {
    await runCase(name, library, lab);
    console.log(JSON.stringify({ done: name, failure: null }));
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    console.log(JSON.stringify({ done: name, failure }));
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const message = JSON.parse(line) as { run: CaseName } | { answer: never };
  if ("run" in message) void run(message.run);
  else waiting.shift()?.(message.answer);
});
