import {
  BACKUP_COST,
  decodeBackupHeader,
  decodeManifest,
  encodeBackupHeader,
  encodeManifest,
} from "../../src/wire/backup.ts";
import { type FuzzCodec, messageCodec } from "./codec.ts";

const MANIFEST = encodeManifest({
  madeMs: 1_795_000_000_000,
  version: "0.1.0",
  databaseVersion: 6,
  counts: { accounts: 1, people: 2, devices: 3, forwards: 4 },
  parts: [{ name: "hatchway.db", bytes: 12_288 }],
});

export const backup: readonly FuzzCodec[] = [
  messageCodec({
    name: "backup-header",
    seeds: [encodeBackupHeader({ ...BACKUP_COST, salt: new Uint8Array(16).fill(7) })],
    decode: decodeBackupHeader,
    encode: encodeBackupHeader,
  }),
  messageCodec({ name: "backup-manifest", seeds: [MANIFEST], decode: decodeManifest, encode: encodeManifest }),
];
