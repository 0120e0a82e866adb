/**
 * Pillar 1: namespaces, a container's own view of the machine. Pure planners: they return operations (base/operation.ts) for
 * the supervisor's or the container's side, and launch/ runs them.
 *
 *   const plan = resolveNamespaces(modes, new Map());   // clone flags, joins
 *   const proc = planProc();                            // a detached mount ...
 *   const attach = attachMount(proc, register("root")); // ... attached under the container's root
 *
 * Source: namespaces(7), user_namespaces(7), mount_namespaces(7), capabilities(7), seccomp(2).
 */
export * from "./capabilities.ts";
export * from "./devices.ts";
export * from "./id-range.ts";
export * from "./kernel-mounts.ts";
export * from "./masked-paths.ts";
export * from "./mount-operations.ts";
export * from "./namespaces.ts";
export * from "./network.ts";
export * from "./rlimits.ts";
export * from "./seccomp/filter.ts";
export { kernelVersion, type SeccompFacts } from "./seccomp/profile.ts";
export * from "./user-mounts.ts";
