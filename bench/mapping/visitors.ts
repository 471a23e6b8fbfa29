// Visitors who try mappings: run by lan.ts in the visitor's namespace; a line of JSON in is an order.
import { answerOf, clientAddress, serveOrders, type VisitOrder, type VisitReport, wanted } from "./plan.ts";

const AT_ONCE = 64;
/** A lost SYN is sent again after a second: whoever needs one found a port that was not open when it was promised. */
const LIMIT_MS = 900;

const gateway = Bun.argv[2] ?? "";

/** Null when the client that the mapping leads to answered, else what happened. */
async function visit(number: number): Promise<string | null> {
  const { client, internalPort, externalPort } = wanted(number);
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const expected = answerOf(clientAddress(client), internalPort);
  let text = "";
  const timer = setTimeout(() => resolve(`nothing from port ${externalPort} in ${LIMIT_MS} ms`), LIMIT_MS);
  Bun.connect({
    hostname: gateway,
    port: externalPort,
    socket: {
      data(_socket, bytes) {
        text += bytes.toString();
        if (text.endsWith("\n")) resolve(text === expected ? null : `port ${externalPort} led to ${text.trim()}`);
      },
      close: () => resolve(`port ${externalPort} closed`),
      error: (_socket, error) => resolve(`port ${externalPort}: ${error.message}`),
    },
  }).catch((error: Error) => resolve(`port ${externalPort}: ${error.message}`));
  const problem = await promise;
  clearTimeout(timer);
  return problem;
}

async function run({ first, count }: VisitOrder): Promise<VisitReport> {
  const beganMs = performance.now();
  const problems: string[] = [];
  let next = first;
  const worker = async () => {
    while (next < first + count) {
      const problem = await visit(next++);
      if (problem !== null) problems.push(problem);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return {
    reached: count - problems.length,
    totalMs: performance.now() - beganMs,
    problem: problems[0] ?? null,
  };
}

await serveOrders(run);
process.exit(0);
