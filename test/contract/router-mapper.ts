import { expect, test } from "bun:test";
import type { Grant, Mapper, MappingWish } from "../../src/core/router/model.ts";

/** A mapper at a router that has nothing open, and what the router itself says. */
export interface MapperUnderTest {
  readonly mapper: Mapper;
  /** Nobody has it, and the router lets everybody map it. */
  readonly freePort: number;
  /** Another host has it; null = nobody has any. */
  readonly takenPort: number | null;
  /** Whether the router forwards the port to this machine. */
  isOpen(port: number): Promise<boolean>;
  close(): Promise<void>;
}

const NEVER = new AbortController().signal;

/** What the keeper relies on, whichever protocol it is. */
export function mapperContract(name: string, open: () => Promise<MapperUnderTest>): void {
  const withMapper = (what: string, act: (under: MapperUnderTest) => Promise<void>) => {
    test(`${name}: ${what}`, async () => {
      const under = await open();
      try {
        await act(under);
      } finally {
        await under.close();
      }
    });
  };

  withMapper("opens a port, says what it is, and closes it", async (under) => {
    const { mapper, freePort } = under;
    const wish = wishOf(under, freePort);
    const grant = await granted(mapper, wish, null);
    expect(grant.externalPort).toBe(freePort);
    expect(grant.lifetimeSec === null || grant.lifetimeSec > 0).toBe(true);
    expect(await under.isOpen(freePort)).toBe(true);
    expect(await mapper.unmap(wish, grant, NEVER)).toEqual({ ok: true, value: null });
    expect(await under.isOpen(freePort)).toBe(false);
  });

  withMapper("renews the same port, and deletes what was renewed", async (under) => {
    const { mapper, freePort } = under;
    const wish = wishOf(under, freePort);
    const first = await granted(mapper, wish, null);
    const second = await granted(mapper, wish, first);
    expect(second.externalPort).toBe(first.externalPort);
    expect(await mapper.unmap(wish, second, NEVER)).toEqual({ ok: true, value: null });
    expect(await under.isOpen(freePort)).toBe(false);
  });

  withMapper("deleting what is not there is done", async (under) => {
    const { mapper, freePort } = under;
    const wish = wishOf(under, freePort);
    const grant = await granted(mapper, wish, null);
    await mapper.unmap(wish, grant, NEVER);
    expect(await mapper.unmap(wish, grant, NEVER)).toEqual({ ok: true, value: null });
  });

  withMapper("tells whether the router has it, or that it cannot tell", async (under) => {
    const { mapper, freePort } = under;
    const wish = wishOf(under, freePort);
    const grant = await granted(mapper, wish, null);
    const there = await mapper.holds(wish, grant, NEVER);
    await mapper.unmap(wish, grant, NEVER);
    const gone = await mapper.holds(wish, grant, NEVER);
    const told = [there, gone].map((one) => (one.ok ? one.value : one.error));
    expect<unknown[]>([
      [true, false],
      [null, null],
    ]).toContainEqual(told);
  });

  withMapper("another host's port: a conflict when it must be that one, and never that one", async (under) => {
    const { mapper, takenPort } = under;
    if (takenPort === null) return;
    const exact = await mapper.map({ ...wishOf(under, takenPort), exact: true }, null, NEVER);
    expect(exact.ok ? exact.value : exact.error.kind).toBe("conflict");
    const any = await mapper.map(wishOf(under, takenPort), null, NEVER);
    if (any.ok) expect(any.value.externalPort).not.toBe(takenPort);
    else expect(any.error.kind).toBe("conflict");
  });

  withMapper("what is called off before it began opens nothing", async (under) => {
    const { mapper, freePort } = under;
    const answer = await mapper.map(wishOf(under, freePort), null, AbortSignal.abort());
    expect(answer.ok).toBe(false);
    expect(await under.isOpen(freePort)).toBe(false);
  });
}

async function granted(mapper: Mapper, wish: MappingWish, held: Grant | null): Promise<Grant> {
  const answer = await mapper.map(wish, held, NEVER);
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

function wishOf({ mapper }: MapperUnderTest, port: number): MappingWish {
  return {
    protocol: "tcp",
    internalAddress: mapper.gateway.ownAddress,
    internalPort: port,
    externalPort: port,
    exact: false,
    lifetimeSec: 600,
    description: "hatchway",
  };
}
