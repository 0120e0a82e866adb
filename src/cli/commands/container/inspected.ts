import { apiPath } from "../../../api/client.ts";
import type { Context } from "../../command.ts";

/** What commands need to know about a container before they connect to it. */
export interface InspectedContainer {
  readonly Id: string;
  readonly State: {
    readonly Running: boolean;
    readonly Paused: boolean;
    readonly Restarting: boolean;
    readonly LostLogBytes?: number;
  };
  readonly Config: { readonly Tty: boolean; readonly OpenStdin: boolean };
  readonly HostConfig: { readonly AutoRemove: boolean };
}

/** @throws not-found */
export async function inspectContainer(
  context: Context,
  name: string,
): Promise<InspectedContainer> {
  const answer = await context.api.json("GET", apiPath("containers", name, "json"));
  return answer as InspectedContainer;
}
