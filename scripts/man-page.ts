// Makes dist/hatchway.1 of what --help says, for package.json's "man".
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

const child = Bun.spawn([process.execPath, "--no-env-file", join(ROOT, "src/main.ts"), "man"], {
  stdout: "pipe",
  stderr: "inherit",
});
const page = await child.stdout.text();
if ((await child.exited) !== 0) process.exit(1);
mkdirSync(join(ROOT, "dist"), { recursive: true });
await Bun.write(join(ROOT, "dist/hatchway.1"), page);
