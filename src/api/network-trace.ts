import { parsePort } from "../network/published-ports.ts";
import { json, type JsonReply } from "./reply.ts";
import { type ApiRequest, queryString } from "./request.ts";
import type { Route } from "./router.ts";

export const networkTraceRoutes: readonly Route[] = [
  { method: "GET", path: "/tiffin/network/trace", handler: tracePort },
];

/** `?port=8080`, `?port=53/udp` */
function tracePort(request: ApiRequest): JsonReply {
  const asked = queryString(request, "port").toLowerCase();
  const port = parsePort(asked.includes("/") ? asked : `${asked}/tcp`);
  const { steps, verdict, reason, hint } = request.engine.networks.trace(port);
  return json({
    Port: port.port,
    Protocol: port.protocol,
    Verdict: verdict,
    Reason: reason,
    Hint: hint,
    Steps: steps.map(({ state, text }) => ({ State: state, Text: text })),
  });
}
