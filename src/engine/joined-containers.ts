import type { EngineContext } from "./context.ts";
import type { ContainerSpec } from "./types.ts";

/**
 * `container:NAME` of the namespaces to join as `container:ID`, as docker keeps it: who is joined may be renamed.
 * @throws not-found
 */
export function withJoinedIds(context: EngineContext, spec: ContainerSpec): ContainerSpec {
  const byId = (mode: string): string => {
    const name = /^container:(.*)$/s.exec(mode)?.[1];
    return name === undefined ? mode : `container:${context.containers.find(name).id}`;
  };
  return {
    ...spec,
    networkMode: byId(spec.networkMode),
    ipcMode: byId(spec.ipcMode),
    pidMode: byId(spec.pidMode),
  };
}
