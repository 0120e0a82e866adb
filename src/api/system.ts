import { formatApiVersion, maximumApiVersion, minimumApiVersion } from "./api-version.ts";
import { platformArchitecture } from "./containers.ts";
import { diskUsage } from "./disk-usage.ts";
import { readInfo } from "./info.ts";
import { streamEvents } from "./events.ts";
import { productVersion } from "./product.ts";
import { json, text } from "./reply.ts";
import type { JsonReply, TextReply } from "./reply.ts";
import type { ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";

export const systemRoutes: readonly Route[] = [
  { method: "GET", path: "/_ping", handler: ping },
  { method: "HEAD", path: "/_ping", handler: ping },
  { method: "GET", path: "/version", handler: readVersion },
  { method: "GET", path: "/info", handler: readInfo },
  { method: "GET", path: "/events", handler: streamEvents },
  { method: "GET", path: "/system/df", handler: diskUsage },
];

/** Builder 1: BuildKit's protocol is not spoken. */
function ping(): TextReply {
  return text("OK", {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    Pragma: "no-cache",
    "Builder-Version": "1",
    Swarm: "inactive",
  });
}

function readVersion({ engine }: ApiRequest): JsonReply {
  const { host } = engine;
  const common = {
    ApiVersion: formatApiVersion(maximumApiVersion),
    MinAPIVersion: formatApiVersion(minimumApiVersion),
    Os: "linux",
    Arch: platformArchitecture(host.architecture),
    KernelVersion: host.kernelVersion,
    GitCommit: "",
    GoVersion: "",
    BuildTime: "",
  };
  return json({
    Platform: { Name: "Tiffin" },
    Version: productVersion,
    ...common,
    Components: [
      {
        Name: "Engine",
        Version: productVersion,
        Details: { ...common, Experimental: "false" },
      },
    ],
  });
}
