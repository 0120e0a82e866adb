import type { Reply } from "./reply.ts";
import type { ApiRequest } from "./request.ts";

export type Handler = (request: ApiRequest) => Reply | Promise<Reply>;

/**
 * One operation of the API. `{name}` in the path matches one segment, `{name...}` one or more (image names have
 * slashes).
 */
export interface Route {
  readonly method: string;
  readonly path: string;
  readonly handler: Handler;
}

export interface Match {
  readonly handler: Handler;
  readonly parameters: Readonly<Record<string, string>>;
}

export type Router = (method: string, path: string) => Match | undefined;

interface Compiled {
  readonly expression: RegExp;
  readonly names: readonly string[];
  readonly handler: Handler;
}

/** Finds a handler by method and path; the first route in the list that matches wins. HEAD is a method of its own. */
export function router(routes: readonly Route[]): Router {
  const groups = new Map<string, Compiled[]>();
  for (const route of routes) {
    const key = groupKey(route.method, route.path);
    const group = groups.get(key) ?? [];
    group.push(compile(route));
    groups.set(key, group);
  }
  return (method, path) => {
    for (const { expression, names, handler } of groups.get(groupKey(method, path)) ?? []) {
      const match = expression.exec(path);
      if (match === null) continue;
      const parameters = Object.fromEntries(
        names.map((name, index) => [name, match[index + 1] ?? ""]),
      );
      return { handler, parameters };
    }
    return undefined;
  };
}

function groupKey(method: string, path: string): string {
  return `${method} ${path.split("/", 2)[1] ?? ""}`;
}

function compile(route: Route): Compiled {
  const names: string[] = [];
  const pattern = route.path
    .split(/(\{[^}]+\})/)
    .map((part) => {
      const placeholder = /^\{(\w+)(\.\.\.)?\}$/.exec(part);
      if (placeholder === null) return part.replaceAll(/[.*+?^$()|[\]\\]/g, "\\$&");
      names.push(placeholder[1] ?? "");
      return placeholder[2] === undefined ? "([^/]+)" : "(.+)";
    })
    .join("");
  return { expression: new RegExp(`^${pattern}$`), names, handler: route.handler };
}
