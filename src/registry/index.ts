/**
 * Registries: where images come from and go to (distribution-spec v1.1.1). A name's domain leads to hosts (mirrors first), a
 * host to a transport with its own security and credentials, and a repository there has manifests by tag or digest and blobs
 * by digest. Nothing that a registry says is trusted: bytes count by their digest alone.
 *
 *     const repository = openRepository({ domain: "docker.io", path: "library/debian" }, access);
 *     const { bytes } = await repository.manifest("12");
 */
export type { RegistryAccess } from "./registry-access.ts";
export { openRepository, type Repository } from "./repository.ts";
