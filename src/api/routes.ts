import { directCopyRoutes } from "./direct-copy.ts";
import { commitRoutes } from "./commit.ts";
import { containerUpdateRoutes } from "./container-update.ts";
import { containerVerbRoutes } from "./container-verbs.ts";
import { containerRoutes } from "./containers.ts";
import { execRoutes } from "./exec.ts";
import { imageTransferRoutes } from "./image-transfer.ts";
import { imageRoutes } from "./images.ts";
import { networkTraceRoutes } from "./network-trace.ts";
import { networkRoutes } from "./networks.ts";
import { pruneRoutes } from "./prune.ts";
import { registryRoutes } from "./registry.ts";
import type { Route } from "./router.ts";
import { systemRoutes } from "./system.ts";
import { tiffinRoutes } from "./tiffin-routes.ts";
import { unsupportedRoutes } from "./unsupported-routes.ts";
import { volumeRoutes } from "./volumes.ts";

/** The whole API, in the order in which routes are tried. */
export const apiRoutes: readonly Route[] = [
  ...systemRoutes,
  ...containerRoutes,
  ...commitRoutes,
  ...containerVerbRoutes,
  ...containerUpdateRoutes,
  ...execRoutes,
  ...pruneRoutes,
  ...unsupportedRoutes,
  // Before images: `/images/search` is no image.
  ...registryRoutes,
  ...imageTransferRoutes,
  ...imageRoutes,
  ...networkRoutes,
  ...networkTraceRoutes,
  ...volumeRoutes,
  ...tiffinRoutes,
  ...directCopyRoutes,
];
