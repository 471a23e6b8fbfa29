// What an executable is for, by its own header.
import { closeSync, openSync, readSync } from "node:fs";

const HEADER_BYTES = 4_096;

/** The e_machine of ELF, the cputype of Mach-O and the Machine of PE, by the names of targets. */
const MACHINES = {
  elf: { 62: "linux-x64", 183: "linux-arm64" },
  macho: { 16777223: "macos-x64", 16777228: "macos-arm64" },
  pe: { 34404: "windows-x64", 43620: "windows-arm64" },
} satisfies Record<string, Readonly<Record<number, string>>>;

const ELF_MAGIC = 0x7f45_4c46;
const ELF_MACHINE_AT = 18;
/** 64 bits, little-endian, and so its bytes stand the other way round. */
const MACHO_MAGIC = 0xcffa_edfe;
const MACHO_CPU_AT = 4;
const MZ_MAGIC = 0x4d5a;
/** Of MZ: where the PE header begins. */
const PE_OFFSET_AT = 0x3c;
const PE_MAGIC = 0x5045_0000;
const PE_MACHINE_AT = 4;

/** The name of the target; null = no executable that is known here. */
export function formOf(header: Uint8Array): string | null {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const has = (end: number) => end <= header.length;
  const named = (names: Readonly<Record<number, string>>, machine: number) => names[machine] ?? null;
  if (!has(PE_OFFSET_AT + 4)) return null;
  if (view.getUint32(0) === ELF_MAGIC) return named(MACHINES.elf, view.getUint16(ELF_MACHINE_AT, true));
  if (view.getUint32(0) === MACHO_MAGIC) return named(MACHINES.macho, view.getUint32(MACHO_CPU_AT, true));
  if (view.getUint16(0) !== MZ_MAGIC) return null;
  const pe = view.getUint32(PE_OFFSET_AT, true);
  if (!has(pe + PE_MACHINE_AT + 2) || view.getUint32(pe) !== PE_MAGIC) return null;
  return named(MACHINES.pe, view.getUint16(pe + PE_MACHINE_AT, true));
}

export function formOfFile(path: string): string | null {
  const file = openSync(path, "r");
  try {
    const header = new Uint8Array(HEADER_BYTES);
    return formOf(header.subarray(0, readSync(file, header)));
  } finally {
    closeSync(file);
  }
}
