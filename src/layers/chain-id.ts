import { createHash } from "node:crypto";

/**
 * The identity of a stack of layers, the lowest first: two stacks are equal when their chain IDs are.
 * One layer's chain ID is its diff ID. Source: image-spec v1.1.1 config.md, "Layer ChainID".
 */
export function chainId(diffIds: readonly [string, ...string[]]): string {
  const [first, ...rest] = diffIds;
  return rest.reduce(
    (below, diffId) => `sha256:${createHash("sha256").update(`${below} ${diffId}`).digest("hex")}`,
    first,
  );
}
