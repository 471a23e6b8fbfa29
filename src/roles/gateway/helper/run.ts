import { gatewayKernel } from "./kernel.ts";
import { serveHelper } from "./serve.ts";

/**
 * The helper's life: from its start by the gateway until the gateway's end of the socket closes, however that ends. What
 * the kernel holds then stays. Signals are the gateway's to hear: a Ctrl-C reaches both. `directory` is root's own.
 */
export async function runHelper(directory: string): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  const output = Bun.stdout.writer();
  const kernel = gatewayKernel(directory);
  await serveHelper(
    {
      input: Bun.stdin.stream(),
      write(line) {
        output.write(line);
        output.flush();
      },
    },
    kernel,
  );
  await kernel.close({ clean: false });
}
