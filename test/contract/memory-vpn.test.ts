import { join } from "node:path";
import { createWireguard } from "../../src/dataplanes/nat/wireguard/wireguard.ts";
import { generateWgKeyPair } from "../../src/os/wireguard-key.ts";
import { temporaryDirectory } from "../fixtures/directory.ts";
import { wireguardWorld } from "../fixtures/wireguard-programs.ts";
import { MemoryVpn, MemoryVpnMachine } from "./memory-vpn.ts";
import { describeVpnInterface } from "./vpn-interface.ts";

describeVpnInterface("MemoryVpn, the fake,", async () => {
  const machine = new MemoryVpnMachine();
  const { publicKey } = generateWgKeyPair();
  let names = 0;
  return {
    freeName: () => `wg${++names}`,
    make: () => new MemoryVpn(machine, publicKey),
    makeStranger: () => new MemoryVpn(machine, generateWgKeyPair().publicKey),
    exists: async (name) => machine.interfaces.has(name),
    vanish: async (name) => void machine.interfaces.delete(name),
    changes: () => machine.changes,
    close: () => undefined,
  };
});

/** The programs' answers are played; that they are the real ones' is what test/netns/vpn-interface.test.ts shows. */
for (const kernel of [true, false]) {
  describeVpnInterface(`WireGuard ${kernel ? "in the kernel" : "by wireguard-go"}, played,`, async () => {
    const world = wireguardWorld({ kernel });
    const directory = await temporaryDirectory();
    let names = 0;
    let keys = 0;
    const make = (keyPath: string) => createWireguard({ run: world.run, keyPath, checkMs: null });
    return {
      freeName: () => `wg${++names}`,
      make: () => make(join(directory.path, "own.key")),
      makeStranger: () => make(join(directory.path, `${++keys}.key`)),
      exists: async (name) => world.devices.has(name),
      vanish: async (name) => void world.devices.delete(name),
      changes: () => world.calls.filter(({ argv }) => !argv.includes("show")).length,
      close: async () => await directory[Symbol.asyncDispose](),
    };
  });
}
