import { ApiClient } from "../../api/client.ts";
import type { Endpoint } from "../../api/client-transport.ts";
import type { Candidate, Names } from "./complete.ts";

/** A shell waits for its completion: what takes longer is left out. */
const PATIENCE_MS = 2_000;

interface Container {
  readonly Names: readonly string[] | null;
  readonly Image: string;
  readonly State: string;
  readonly Status: string;
}

/** Asks an engine for names; where none answers there are none, and none is started for it. */
export function engineNames(endpoint: Endpoint, contexts: () => Candidate[]): Names {
  const api = new ApiClient({ endpoint });
  const ask = async <Answer>(path: string, query = {}): Promise<Answer | undefined> => {
    const late = new Promise<undefined>((resolve) => {
      setTimeout(() => resolve(undefined), PATIENCE_MS);
    });
    try {
      return (await Promise.race([api.json("GET", path, { query }), late])) as Answer | undefined;
    } catch {
      // No engine, or one that lacks the resource: nothing to offer.
      return undefined;
    }
  };
  const containers = async (isWanted: (state: string) => boolean): Promise<Candidate[]> => {
    const all = await ask<Container[]>("/containers/json", { all: 1 });
    return (all ?? [])
      .filter(({ State: state }) => isWanted(state))
      .flatMap(({ Names: names, Image: image, Status: status }) =>
        (names ?? []).map((name) => ({
          value: name.replace(/^\//, ""),
          description: `${image}, ${status}`,
        })),
      );
  };
  const images = async (): Promise<Candidate[]> => {
    const all = await ask<{ RepoTags: readonly string[] | null; Id: string }[]>("/images/json");
    return (all ?? []).flatMap(({ RepoTags: tags, Id: id }) =>
      (tags ?? [])
        .filter((tag) => tag !== "<none>:<none>")
        .map((tag) => ({ value: tag, description: id.replace(/^sha256:/, "").slice(0, 12) })),
    );
  };
  const volumes = async (): Promise<Candidate[]> => {
    const answer = await ask<{ Volumes: readonly { Name: string; Driver: string }[] | null }>(
      "/volumes",
    );
    return (answer?.Volumes ?? []).map(({ Name: value, Driver: description }) => ({
      value,
      description,
    }));
  };
  const networks = async (): Promise<Candidate[]> => {
    const all = await ask<{ Name: string; Driver: string }[]>("/networks");
    return (all ?? []).map(({ Name: value, Driver: description }) => ({ value, description }));
  };
  return async (kind) => {
    switch (kind) {
      case "container":
        return containers(() => true);
      case "running":
        return containers((state) => state === "running" || state === "paused");
      case "stopped":
        return containers((state) => state !== "running");
      case "image":
        return images();
      case "volume":
        return volumes();
      case "network":
        return networks();
      case "context":
        return contexts();
      case "any":
        return (
          await Promise.all([containers(() => true), images(), networks(), volumes()])
        ).flat();
    }
  };
}
