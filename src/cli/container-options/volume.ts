import { resolve } from "node:path";

/** One `--volume` as the API takes it: a bind (`SRC:DST[:OPTIONS]`), or the path of an anonymous volume. */
export type Volume = { readonly bind: string } | { readonly anonymous: string };

/**
 * The value of `-v`. Options after the second colon go through as they are, ours too (`:me`).
 *
 * @throws in docker's words
 */
export function parseVolume(spec: string): Volume {
  if (spec === "") throw new Error("invalid empty volume spec");
  if (spec.length <= 2) return { anonymous: spec };
  const parts = spec.split(":");
  if (parts.some((part) => part === "")) {
    throw new Error(`invalid spec: ${spec}: empty section between colons`);
  }
  const [source = "", target] = parts;
  if (parts.length > 3) throw new Error(`invalid spec: ${spec}: too many colons`);
  if (target === undefined) return { anonymous: spec };
  const host = source.startsWith(".") ? resolve(source) : source;
  return { bind: `${host}${spec.slice(source.length)}` };
}
