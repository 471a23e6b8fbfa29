const u16 = (value: number) => [value >> 8, value & 255];
const bytesOf = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const sized = (data: readonly number[]) => [...u16(data.length), ...data];

export function record(fragment: Uint8Array): Uint8Array {
  return Uint8Array.from([22, 3, 1, ...u16(fragment.length), ...fragment]);
}

/** A small hello; `again`: a second list of names. */
export function clientHello(name: string | null, protocols: readonly string[], again?: string): Uint8Array {
  const names = (text: string) => [...u16(0), ...sized(sized([0, ...sized(bytesOf(text))]))];
  const list = protocols.flatMap((protocol) => [protocol.length, ...bytesOf(protocol)]);
  const extensions = [
    ...(name === null ? [] : names(name)),
    ...(again === undefined ? [] : names(again)),
    ...(protocols.length === 0 ? [] : [...u16(16), ...sized(sized(list))]),
  ];
  const body = [3, 3, ...new Array<number>(32).fill(7), 0, ...sized([0x13, 0x01]), 1, 0, ...sized(extensions)];
  return record(Uint8Array.from([1, 0, ...u16(body.length), ...body]));
}
