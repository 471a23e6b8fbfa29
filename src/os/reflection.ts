/**
 * What @peculiar/x509 wants to find when it is loaded, by whichever package: call this before. They import it themselves, and in
 * a bundle of Bun's (1.4.5) that comes too late.
 */
export async function loadReflection(): Promise<void> {
  await import("reflect-metadata");
}
