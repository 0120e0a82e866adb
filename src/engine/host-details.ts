import { existsSync, readFileSync, readdirSync } from "node:fs";
import { release } from "node:os";

/** What plans depend on of the host, read once at the engine's start. */
export interface HostDetails {
  /** `[6, 18]` */
  readonly kernel: readonly [major: number, minor: number];
  readonly lastCapability: number;
  /** Capabilities that the engine may hand out in the host's user namespace. */
  readonly boundingSet: bigint;
  /** CPUs whose thermal_throttle counters are to be masked. */
  readonly thermalThrottleCpus: readonly number[];
}

export function readHostDetails(): HostDetails {
  const [major = 0, minor = 0] = release().split(/[.-]/).map(Number);
  const status = readFileSync("/proc/self/status", "utf8");
  return {
    kernel: [major, minor],
    lastCapability: Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8")),
    boundingSet: BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`),
    thermalThrottleCpus: thermalThrottleCpus(),
  };
}

function thermalThrottleCpus(): number[] {
  const directory = "/sys/devices/system/cpu";
  return readdirSync(directory)
    .flatMap((name) => /^cpu(\d+)$/.exec(name)?.[1] ?? [])
    .filter((cpu) => existsSync(`${directory}/cpu${cpu}/thermal_throttle`))
    .map(Number);
}
