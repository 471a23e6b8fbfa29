import { ApiFailure, type Page, type PageRequest, type Principal } from "../../servers/api/backend.ts";
import type { Visit } from "../../servers/api/schema.ts";
import type { GatewayView } from "../gateway/control.ts";
import { throughInfo, type VisitedThrough, visitsThrough } from "../gateway/visit-info.ts";
import { apiId } from "./forwards.ts";
import { type KernelSight, seesPeer } from "./gateway-sight.ts";
import { newestFirst } from "./pages.ts";

export interface GatewayVisitsOptions {
  readonly gateway: Pick<GatewayView, "book" | "vpn" | "kernel">;
  readonly sight: Pick<KernelSight, "visits">;
}

/** Who is connected through a gateway, as the API has visits: an administrator sees all, others those to their peers. */
export class GatewayVisits {
  readonly #options: GatewayVisitsOptions;

  constructor(options: GatewayVisitsOptions) {
    this.#options = options;
  }

  /** Newest first. */
  async list(who: Principal, page: PageRequest): Promise<Page<Visit>> {
    return newestFirst((await this.#seen(who)).map(shown), page);
  }

  async end(who: Principal, id: string): Promise<void> {
    const { gateway, sight } = this.#options;
    const found = (await this.#seen(who)).find((one) => shown(one).id === id);
    if (found === undefined) throw over();
    let ended: boolean;
    try {
      ended = await gateway.kernel.endVisit(found.visit);
    } catch (cause) {
      throw new ApiFailure("unavailable", "The kernel did not end that connection: see the gateway's log.", { cause });
    } finally {
      // Whoever looks next sees that it is gone.
      sight.visits.forget();
    }
    if (!ended) throw over();
  }

  async #seen(who: Principal): Promise<VisitedThrough[]> {
    const { gateway, sight } = this.#options;
    const through = visitsThrough(gateway, await sight.visits.get());
    return through.filter(({ device }) => seesPeer(who, gateway.vpn.peerOf(device)));
  }
}

function shown(one: VisitedThrough): Visit {
  return throughInfo(one, apiId(one.device, one.specId));
}

function over(): ApiFailure {
  return new ApiFailure("not-found", "That connection is over.");
}
