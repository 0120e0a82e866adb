import { isTiffinError } from "../../base/error.ts";
import { apiPath } from "../../api/client.ts";
import type { Context } from "../command.ts";
import { imagePath } from "../image-path.ts";
import { Fields, type ImageSettings, type InspectedSettings } from "./inspected-settings.ts";
import { runWords, type RunWords } from "./run-words.ts";

export interface Recreation {
  readonly container: InspectedSettings;
  readonly words: RunWords;
}

/** How a container can be made again. @throws not-found */
export async function recreate(context: Context, name: string): Promise<Recreation> {
  const answer = await context.api.json("GET", apiPath("containers", name, "json"));
  const container = answer as InspectedSettings;
  const own = await inspectImage(context, container.Image);
  const words = runWords(container, own);
  // The name that was asked for may be another image's by now.
  const named = await inspectImage(context, words.image);
  const image = named?.Id === container.Image ? words.image : container.Image;
  return { container, words: { ...words, image } };
}

async function inspectImage(context: Context, name: string): Promise<ImageSettings | undefined> {
  try {
    return (await context.api.json("GET", imagePath(name, "json"))) as ImageSettings;
  } catch (error) {
    if (isTiffinError(error, "not-found")) return undefined;
    throw error;
  }
}

/** The body of POST /containers/create that makes the container again: all of it, the image's part too. */
export function recreationBody({ container, words }: Recreation): Record<string, unknown> {
  const { Config: config, HostConfig, NetworkSettings } = container;
  const isOwnName = words.options.some((word) => word.startsWith("--hostname="));
  return {
    ...config,
    Image: words.image,
    Hostname: isOwnName ? config["Hostname"] : "",
    HostConfig,
    NetworkingConfig: { EndpointsConfig: endpoints(NetworkSettings) },
  };
}

/** What it asked for in its networks; what it has there, another one has otherwise. */
function endpoints(settings: InspectedSettings["NetworkSettings"]): Record<string, object> {
  const networks = new Fields(settings).object("Networks");
  return Object.fromEntries(
    new Fields(settings).keys("Networks").map((name) => {
      const { IPAMConfig, Aliases, DriverOpts, GwPriority } = networks.raw(name);
      return [name, { IPAMConfig, Aliases, DriverOpts, GwPriority }];
    }),
  );
}
