import type { Command } from "./command.ts";

/** Where a command is in the tree of words, and how to load it: only the one that runs is loaded. */
export interface Entry {
  /** Noun and verb: `container ls`. */
  readonly path: string;
  /** Other words for the verb, below the same noun. */
  readonly verbAliases?: readonly string[];
  /** The word that stands alone: `ps`. */
  readonly short?: string;
  /** Place among the common commands in `tiffin --help`. */
  readonly common?: number;
  /** Not for people: help and completion pass over it. */
  readonly hidden?: true;
  readonly load: () => Promise<{ readonly command: Command }>;
}

export const COMMANDS: readonly Entry[] = [
  { path: "__complete", hidden: true, load: () => import("./commands/system/complete.ts") },
  { path: "completion", load: () => import("./commands/system/completion.ts") },
  {
    path: "container run",
    short: "run",
    common: 1,
    load: () => import("./commands/container/run.ts"),
  },
  {
    path: "container exec",
    short: "exec",
    common: 2,
    load: () => import("./commands/container/exec.ts"),
  },
  {
    path: "container ls",
    verbAliases: ["list", "ps"],
    short: "ps",
    common: 3,
    load: () => import("./commands/container/ls.ts"),
  },
  {
    path: "container attach",
    short: "attach",
    load: () => import("./commands/container/attach.ts"),
  },
  { path: "container clone", short: "clone", load: () => import("./commands/container/clone.ts") },
  {
    path: "container create",
    short: "create",
    load: () => import("./commands/container/create.ts"),
  },
  {
    path: "container commit",
    short: "commit",
    load: () => import("./commands/container/commit.ts"),
  },
  { path: "container cp", short: "cp", load: () => import("./commands/container/cp.ts") },
  { path: "container diff", short: "diff", load: () => import("./commands/container/diff.ts") },
  {
    path: "container export",
    short: "export",
    load: () => import("./commands/container/export.ts"),
  },
  { path: "container inspect", load: () => import("./commands/container/inspect.ts") },
  { path: "container kill", short: "kill", load: () => import("./commands/container/kill.ts") },
  { path: "container logs", short: "logs", load: () => import("./commands/container/logs.ts") },
  { path: "container pause", short: "pause", load: () => import("./commands/container/pause.ts") },
  { path: "container port", short: "port", load: () => import("./commands/container/port.ts") },
  {
    path: "container rename",
    short: "rename",
    load: () => import("./commands/container/rename.ts"),
  },
  {
    path: "container restart",
    short: "restart",
    load: () => import("./commands/container/restart.ts"),
  },
  { path: "container prune", load: () => import("./commands/container/prune.ts") },
  {
    path: "container rm",
    verbAliases: ["remove"],
    short: "rm",
    load: () => import("./commands/container/rm.ts"),
  },
  { path: "container start", short: "start", load: () => import("./commands/container/start.ts") },
  { path: "container stats", short: "stats", load: () => import("./commands/container/stats.ts") },
  { path: "container stop", short: "stop", load: () => import("./commands/container/stop.ts") },
  { path: "container top", short: "top", load: () => import("./commands/container/top.ts") },
  {
    path: "container unpause",
    short: "unpause",
    load: () => import("./commands/container/unpause.ts"),
  },
  {
    path: "container update",
    short: "update",
    load: () => import("./commands/container/update.ts"),
  },
  { path: "container wait", short: "wait", load: () => import("./commands/container/wait.ts") },
  { path: "context create", load: () => import("./commands/context/create.ts") },
  { path: "context export", load: () => import("./commands/context/export.ts") },
  { path: "context import", load: () => import("./commands/context/import.ts") },
  { path: "context inspect", load: () => import("./commands/context/inspect.ts") },
  { path: "context ls", verbAliases: ["list"], load: () => import("./commands/context/ls.ts") },
  { path: "context rm", verbAliases: ["remove"], load: () => import("./commands/context/rm.ts") },
  { path: "context show", load: () => import("./commands/context/show.ts") },
  { path: "context update", load: () => import("./commands/context/update.ts") },
  { path: "context use", load: () => import("./commands/context/use.ts") },
  { path: "image history", short: "history", load: () => import("./commands/image/history.ts") },
  { path: "image import", short: "import", load: () => import("./commands/image/import.ts") },
  { path: "image inspect", load: () => import("./commands/image/inspect.ts") },
  { path: "image load", short: "load", load: () => import("./commands/image/load.ts") },
  {
    path: "image ls",
    verbAliases: ["list"],
    short: "images",
    common: 7,
    load: () => import("./commands/image/ls.ts"),
  },
  { path: "image prune", load: () => import("./commands/image/prune.ts") },
  {
    path: "image rm",
    verbAliases: ["remove"],
    short: "rmi",
    load: () => import("./commands/image/rm.ts"),
  },
  {
    path: "image pull",
    short: "pull",
    common: 6,
    load: () => import("./commands/image/pull.ts"),
  },
  { path: "image push", short: "push", load: () => import("./commands/image/push.ts") },
  { path: "image save", short: "save", load: () => import("./commands/image/save.ts") },
  { path: "image referrers", load: () => import("./commands/image/referrers.ts") },
  { path: "image tree", load: () => import("./commands/image/tree.ts") },
  { path: "image tag", short: "tag", load: () => import("./commands/image/tag.ts") },
  { path: "inspect", load: () => import("./commands/system/inspect.ts") },
  { path: "login", load: () => import("./commands/system/login.ts") },
  { path: "logout", load: () => import("./commands/system/logout.ts") },
  { path: "manifest annotate", load: () => import("./commands/manifest/annotate.ts") },
  { path: "manifest create", load: () => import("./commands/manifest/create.ts") },
  { path: "manifest inspect", load: () => import("./commands/manifest/inspect.ts") },
  { path: "manifest push", load: () => import("./commands/manifest/push.ts") },
  { path: "manifest rm", load: () => import("./commands/manifest/rm.ts") },
  { path: "search", load: () => import("./commands/image/search.ts") },
  { path: "network connect", load: () => import("./commands/network/connect.ts") },
  { path: "network create", load: () => import("./commands/network/create.ts") },
  { path: "network disconnect", load: () => import("./commands/network/disconnect.ts") },
  { path: "network inspect", load: () => import("./commands/network/inspect.ts") },
  { path: "network ls", verbAliases: ["list"], load: () => import("./commands/network/ls.ts") },
  { path: "network prune", load: () => import("./commands/network/prune.ts") },
  { path: "network rm", verbAliases: ["remove"], load: () => import("./commands/network/rm.ts") },
  { path: "network trace", load: () => import("./commands/network/trace.ts") },
  { path: "system check", load: () => import("./commands/system/check.ts") },
  { path: "system df", load: () => import("./commands/system/df.ts") },
  { path: "system events", short: "events", load: () => import("./commands/system/events.ts") },
  {
    path: "system info",
    short: "info",
    common: 12,
    load: () => import("./commands/system/info.ts"),
  },
  { path: "system prune", load: () => import("./commands/system/prune.ts") },
  { path: "version", common: 10, load: () => import("./commands/system/version.ts") },
  { path: "volume create", load: () => import("./commands/volume/create.ts") },
  { path: "volume inspect", load: () => import("./commands/volume/inspect.ts") },
  { path: "volume ls", verbAliases: ["list"], load: () => import("./commands/volume/ls.ts") },
  { path: "volume prune", load: () => import("./commands/volume/prune.ts") },
  { path: "volume rm", verbAliases: ["remove"], load: () => import("./commands/volume/rm.ts") },
];

/** The nouns, and what `tiffin --help` says about them. */
export const NOUNS: Readonly<Record<string, string>> = {
  container: "Manage containers",
  context: "Manage contexts",
  image: "Manage images",
  manifest: "Manage image manifests and manifest lists",
  network: "Manage networks",
  system: "Manage Tiffin",
  volume: "Manage volumes",
};

export interface Found {
  readonly entry: Entry;
  readonly calledAs: string;
  readonly rest: readonly string[];
}

/** The command that words name, and the words after its name. Undefined when there is none. */
export function find(words: readonly string[]): Found | undefined {
  const [first = "", second = ""] = words;
  if (Object.hasOwn(NOUNS, first)) {
    const entry = COMMANDS.find(
      ({ path, verbAliases = [] }) =>
        path === `${first} ${second}` ||
        (path.startsWith(`${first} `) && verbAliases.includes(second)),
    );
    return entry && { entry, calledAs: `${first} ${second}`, rest: words.slice(2) };
  }
  const entry = COMMANDS.find(({ path, short }) => short === first || path === first);
  return entry && { entry, calledAs: first, rest: words.slice(1) };
}
