import { METRICS_TYPE } from "../../wire/prometheus.ts";
import { needOf } from "./need.ts";
import { type Operation, operation } from "./operation.ts";
import { Refusal, Status } from "./problem.ts";

/** The page that Prometheus scrapes, for an administrator's token with the scope `read`. */
export function metricsOperation(text: () => Promise<string>): Operation {
  return operation({
    id: "metrics",
    method: "GET",
    path: "/metrics",
    tag: "Relay",
    summary: "Says how the relay is, in the text format of Prometheus",
    need: needOf("metrics.read"),
    async run({ session }) {
      // A page of ours shows all this in a better way; no other page is to find it by the cookie.
      if (session !== null)
        throw new Refusal(Status.forbidden, "This is for programs: send a token with the scope read.");
      return new Response(await text(), { headers: { "content-type": METRICS_TYPE } });
    },
  });
}
