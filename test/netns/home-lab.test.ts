import { expect, setDefaultTimeout, test } from "bun:test";
import { type Above, createHomeLab, HOME, masquerade } from "./home-lab.ts";
import { startService } from "./kit.ts";
import type { Host } from "./lab.ts";

setDefaultTimeout(30_000);

const reaches = async (lab: ReturnType<typeof createHomeLab>, from: Host, address: string): Promise<boolean> =>
  (await lab.exec(from, ["timeout", "2", "bash", "-c", `exec 3<>/dev/tcp/${address}/8080`])).exitCode === 0;

test.each<Above>(["none", "cgnat", "secondRouter"])(
  "a home reaches out, and nobody reaches in: %s above",
  async (above) => {
    await using lab = createHomeLab({ above });
    lab.nft(lab.router, masquerade("wan", "lan"));
    await startService(lab, lab.visitor, "echo:tcp:8080");
    await startService(lab, lab.agent, "echo:tcp:8080");
    expect(await reaches(lab, lab.agent, HOME.visitor)).toBe(true);
    expect(await reaches(lab, lab.visitor, HOME.line)).toBe(false);
    expect(await reaches(lab, lab.visitor, HOME.agent6)).toBe(false);
  },
);
