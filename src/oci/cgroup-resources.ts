import { invalidArgument, TiffinError } from "../base/error.ts";
import { cpuWeight } from "../cgroups/cpu.ts";
import { cpusetV1, type AvailableSets } from "../cgroups/cpuset.ts";
import { DEFAULT_DEVICE_RULES, ALL_DEVICES } from "../cgroups/devices.ts";
import type { DeviceRule } from "../cgroups/resources.ts";
import type { CgroupWrite, Controller } from "../cgroups/write.ts";
import type { Integer, SpecDeviceRule, SpecResources } from "../base/runtime-spec.ts";

/** Writes of one controller, from values that may be absent. */
class Writes {
  readonly all: CgroupWrite[] = [];
  private readonly controller: Controller;

  constructor(controller: Controller) {
    this.controller = controller;
  }

  set(file: string, value: Integer | string | undefined, optional = false): this {
    if (value === undefined || value === "") return this;
    this.all.push({
      controller: this.controller,
      file,
      value: String(value),
      reason: `set ${file} to ${value}`,
      ...(optional && { optional }),
    });
    return this;
  }
}

function max(value: Integer | undefined): string | undefined {
  if (value === undefined) return undefined;
  return value < 0 ? "max" : String(value);
}

/**
 * The values of `linux.resources` for the files of cgroup v1, in the order that a new group needs (config-linux.md, "Control
 * groups"). @throws invalid-argument
 */
export function resourceWritesV1(resources: SpecResources, parent: AvailableSets): CgroupWrite[] {
  const { memory = {}, cpu = {}, pids = {}, network = {} } = resources;
  const priorities = network.priorities ?? [];
  return [
    ...new Writes("memory")
      .set("memory.use_hierarchy", memory.useHierarchy === true ? 1 : undefined, true)
      .set("memory.limit_in_bytes", memory.limit)
      // Missing without swap accounting: then swap is not limited.
      .set("memory.memsw.limit_in_bytes", memory.swap, true)
      .set("memory.soft_limit_in_bytes", memory.reservation)
      // Kernels since 5.16 have no such limit any more.
      .set("memory.kmem.limit_in_bytes", positive(memory.kernel), true)
      .set("memory.kmem.tcp.limit_in_bytes", positive(memory.kernelTCP))
      .set("memory.swappiness", memory.swappiness)
      .set("memory.oom_control", memory.disableOOMKiller === true ? 1 : undefined).all,
    ...new Writes("cpu")
      .set("cpu.shares", nonZero(cpu.shares))
      .set("cpu.rt_period_us", nonZero(cpu.realtimePeriod))
      .set("cpu.rt_runtime_us", nonZero(cpu.realtimeRuntime))
      .set("cpu.cfs_period_us", nonZero(cpu.period))
      .set("cpu.cfs_quota_us", nonZero(cpu.quota))
      .set("cpu.cfs_burst_us", cpu.burst)
      .set("cpu.idle", cpu.idle).all,
    ...cpusetV1({ cpusetCpus: cpu.cpus ?? "", cpusetMems: cpu.mems ?? "" }, parent),
    ...new Writes("pids").set("pids.max", max(pids.limit)).all,
    ...blockIoV1(resources),
    ...hugePages(resources, (size) => `hugetlb.${size}.limit_in_bytes`),
    ...new Writes("net_cls").set("net_cls.classid", nonZero(network.classID)).all,
    ...priorities.flatMap(
      ({ name, priority }) =>
        new Writes("net_prio").set("net_prio.ifpriomap", `${name} ${priority}`).all,
    ),
    ...rdma(resources),
  ];
}

function nonZero(value: Integer | undefined): Integer | undefined {
  return value === 0 || value === 0n ? undefined : value;
}

function positive(value: Integer | undefined): Integer | undefined {
  return value !== undefined && value > 0 ? value : undefined;
}

function blockIoV1({ blockIO = {} }: SpecResources): CgroupWrite[] {
  const writes = new Writes("blkio")
    .set("blkio.weight", nonZero(blockIO.weight))
    .set("blkio.leaf_weight", nonZero(blockIO.leafWeight));
  for (const { major, minor, weight, leafWeight } of blockIO.weightDevice ?? []) {
    if (weight) writes.set("blkio.weight_device", `${major}:${minor} ${weight}`);
    if (leafWeight) writes.set("blkio.leaf_weight_device", `${major}:${minor} ${leafWeight}`);
  }
  const throttles = [
    ["read_bps", blockIO.throttleReadBpsDevice],
    ["write_bps", blockIO.throttleWriteBpsDevice],
    ["read_iops", blockIO.throttleReadIOPSDevice],
    ["write_iops", blockIO.throttleWriteIOPSDevice],
  ] as const;
  for (const [name, rates] of throttles) {
    for (const { major, minor, rate } of rates ?? []) {
      writes.set(`blkio.throttle.${name}_device`, `${major}:${minor} ${rate}`);
    }
  }
  return writes.all;
}

function hugePages(
  { hugepageLimits = [] }: SpecResources,
  file: (size: string) => string,
): CgroupWrite[] {
  return hugepageLimits.flatMap(({ pageSize, limit }) => {
    if (!/^\d+[KMGT]B$/.test(pageSize)) {
      throw invalidArgument(
        `Cannot limit huge pages: ${JSON.stringify(pageSize)} is not a size such as 2MB`,
      );
    }
    const reserved = file(pageSize).replace(/\.([^.]+)$/, ".rsvd.$1");
    return new Writes("hugetlb").set(reserved, limit, true).set(file(pageSize), limit).all;
  });
}

function rdma({ rdma: devices = {} }: SpecResources): CgroupWrite[] {
  return Object.entries(devices).flatMap(([name, { hcaHandles, hcaObjects }]) => {
    const words = [
      ...(hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`]),
      ...(hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`]),
    ];
    if (words.length === 0) {
      throw invalidArgument(
        `Cannot limit the RDMA device ${name}: neither hcaHandles nor hcaObjects is there`,
      );
    }
    return new Writes("rdma").set("rdma.max", `${name} ${words.join(" ")}`).all;
  });
}

/** The same for cgroup v2. @throws invalid-argument for what v2 cannot express */
export function resourceWritesV2(resources: SpecResources): CgroupWrite[] {
  const { memory = {}, cpu = {}, pids = {} } = resources;
  refuseV1Only(resources);
  const quota = nonZero(cpu.quota);
  const period = nonZero(cpu.period);
  const shares = nonZero(cpu.shares);
  return [
    ...new Writes("memory")
      .set("memory.max", max(memory.limit))
      .set("memory.swap.max", swapMax(memory.limit, memory.swap), true)
      .set("memory.low", max(memory.reservation)).all,
    ...new Writes("cpu")
      .set("cpu.weight", shares === undefined ? undefined : cpuWeight(Number(shares)))
      .set(
        "cpu.max",
        quota === undefined && period === undefined
          ? undefined
          : `${quota === undefined || quota < 0 ? "max" : quota} ${period ?? 100_000}`,
      )
      .set("cpu.max.burst", cpu.burst)
      .set("cpu.idle", cpu.idle).all,
    ...new Writes("cpuset").set("cpuset.cpus", cpu.cpus).set("cpuset.mems", cpu.mems).all,
    ...new Writes("pids").set("pids.max", max(pids.limit)).all,
    ...blockIoV2(resources),
    ...hugePages(resources, (size) => `hugetlb.${size}.max`),
    ...rdma(resources),
    ...unifiedWrites(resources),
  ];
}

function refuseV1Only({ memory = {}, cpu = {}, network = {} }: SpecResources): void {
  const asked = [
    [memory.swappiness, "memory.swappiness"],
    [positive(memory.kernel), "memory.kernel"],
    [positive(memory.kernelTCP), "memory.kernelTCP"],
    [memory.disableOOMKiller === true ? 1 : undefined, "memory.disableOOMKiller"],
    [nonZero(cpu.realtimeRuntime), "cpu.realtimeRuntime"],
    [nonZero(cpu.realtimePeriod), "cpu.realtimePeriod"],
    [nonZero(network.classID), "network.classID"],
    [network.priorities?.[0]?.priority, "network.priorities"],
  ] as const;
  const found = asked.find(([value]) => value !== undefined);
  if (found === undefined) return;
  throw invalidArgument(`Cannot set ${found[1]}: cgroup v2 has no such limit`);
}

/** v2 counts swap alone. @throws invalid-argument when swap is below memory, or memory is missing */
function swapMax(limit: Integer | undefined, swap: Integer | undefined): string | undefined {
  if (swap === undefined || swap === 0 || swap === 0n) return undefined;
  if (swap < 0) return "max";
  if (limit === undefined || limit <= 0) {
    throw invalidArgument("Cannot limit swap alone: memory.swap is memory and swap together");
  }
  if (swap < limit) throw invalidArgument("Cannot limit swap: memory.swap is below memory.limit");
  return String(BigInt(swap) - BigInt(limit));
}

function blockIoV2({ blockIO = {} }: SpecResources): CgroupWrite[] {
  const { weight } = blockIO;
  const writes = new Writes("blkio");
  // From 10-1000 to 1-10000, as runc's and crun's line.
  const toV2 = (value: number): number => 1 + Math.floor(((value - 10) * 9999) / 990);
  if (weight) writes.set("io.weight", toV2(weight));
  for (const device of blockIO.weightDevice ?? []) {
    if (!device.weight) continue;
    writes.set("io.weight", `${device.major}:${device.minor} ${toV2(device.weight)}`);
  }
  const throttles = [
    ["rbps", blockIO.throttleReadBpsDevice],
    ["wbps", blockIO.throttleWriteBpsDevice],
    ["riops", blockIO.throttleReadIOPSDevice],
    ["wiops", blockIO.throttleWriteIOPSDevice],
  ] as const;
  for (const [name, rates] of throttles) {
    for (const { major, minor, rate } of rates ?? []) {
      writes.set("io.max", `${major}:${minor} ${name}=${rate}`);
    }
  }
  return writes.all;
}

/** `linux.resources.unified`: as it is, a line a write. @throws invalid-argument for what is no plain file name */
export function unifiedWrites({ unified = {} }: SpecResources): CgroupWrite[] {
  return Object.entries(unified).flatMap(([file, value]) => {
    if (file.includes("/") || file.startsWith(".") || !file.includes(".")) {
      throw invalidArgument(`Cannot set ${JSON.stringify(file)}: it is no file of a cgroup`);
    }
    const lines = value.split("\n").filter((line) => line !== "");
    return lines.flatMap((line) => new Writes("memory").set(file, line).all);
  });
}

/** v2 controllers that the values need, to be passed down from the parents. */
export function neededControllers(writes: readonly CgroupWrite[]): string[] {
  const names = writes.map(({ file }) => file.slice(0, file.indexOf(".")));
  return [...new Set(["cpu", "cpuset", "io", "memory", "pids", ...names])];
}

/**
 * The rules of `linux.resources.devices` in order, after "nothing at all" and before the default devices, which every container
 * may use (config-linux.md, "Default Devices"). @throws invalid-argument
 */
export function deviceRules(rules: readonly SpecDeviceRule[] = []): readonly DeviceRule[] {
  const all: DeviceRule[] = [];
  let isOpen = false;
  for (const written of rules) {
    const rule = deviceRule(written);
    const isEverything = rule.type === "a" && rule.major < 0 && rule.minor < 0;
    if (!isEverything || rule.access.length < 3) {
      all.push(rule);
      continue;
    }
    // What came before counts no more.
    all.length = 0;
    isOpen = rule.allow;
  }
  if (!isOpen) return [...all, ...DEFAULT_DEVICE_RULES];
  return all.length === 0 ? ALL_DEVICES : [...ALL_DEVICES, ...all];
}

function deviceRule(written: SpecDeviceRule): DeviceRule {
  const { allow = false, type = "a", major, minor } = written;
  const access = written.access === undefined || written.access === "" ? "rwm" : written.access;
  if (type !== "a" && type !== "b" && type !== "c") {
    throw new TiffinError(
      "invalid-argument",
      `Cannot use the device rule: there is no type ${JSON.stringify(type)}`,
    );
  }
  if (!/^[rwm]{1,3}$/.test(access)) {
    throw invalidArgument(`Cannot use the device rule: ${JSON.stringify(access)} is no access`);
  }
  return { allow, type, major: major ?? -1, minor: minor ?? -1, access };
}
