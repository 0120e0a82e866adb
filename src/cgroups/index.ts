/**
 * Pillar 2: cgroups, a container's own bounds. One controller a file, pure from resources to writes; the driver knows where
 * groups are on v1, v2 and hybrid hosts.
 *
 *   const cgroups = new CgroupDriver(engineId);
 *   cgroups.prepare();                                          // once
 *   const plan = cgroups.plan({ containerId, resources, deviceRules: DEFAULT_DEVICE_RULES });
 *
 * Source: cgroups(7), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.
 */
export * from "./devices.ts";
export * from "./driver.ts";
export * from "./layout.ts";
export * from "./limits.ts";
export { oomKills } from "./memory.ts";
export * from "./plan.ts";
export type * from "./resources.ts";
export type * from "./stats.ts";
