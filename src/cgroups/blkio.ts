import { invalidArgument } from "../base/error.ts";
import type { DeviceRate, Resources } from "./resources.ts";
import type { CgroupWrite } from "./write.ts";

/** `254:0` of a disk's path. */
export type DeviceNumber = (path: string) => string;

const LOWEST_WEIGHT = 10;
const HIGHEST_WEIGHT = 1000;

/** @throws invalid-argument, in docker's words */
export function validateBlkio(resources: Resources): void {
  const { blkioWeight = 0, blkioWeightDevices = [] } = resources;
  if (!isWeight(blkioWeight)) {
    throw invalidArgument("Range of blkio weight is from 10 to 1000");
  }
  for (const { path, weight } of blkioWeightDevices) {
    if (!isWeight(weight)) throw invalidArgument(`invalid weight for device: ${path}:${weight}`);
  }
  for (const { path, rate } of RATES.flatMap(({ of }) => of(resources))) {
    if (rate < 0) throw invalidArgument(`invalid rate for device: ${path}:${rate}`);
  }
}

function isWeight(weight: number): boolean {
  return weight === 0 || (weight >= LOWEST_WEIGHT && weight <= HIGHEST_WEIGHT);
}

/** The disks that a container's limits are about. */
export function limitedDisks(resources: Resources): string[] {
  const all = [
    ...(resources.blkioWeightDevices ?? []),
    ...RATES.flatMap(({ of }) => of(resources)),
  ];
  return [...new Set(all.map(({ path }) => path))];
}

interface RateKind {
  readonly of: (resources: Resources) => readonly DeviceRate[];
  readonly fileV1: string;
  readonly keyV2: string;
  readonly unit: string;
}

const RATES: readonly RateKind[] = [
  {
    of: ({ blkioReadBps = [] }) => blkioReadBps,
    fileV1: "blkio.throttle.read_bps_device",
    keyV2: "rbps",
    unit: "read bytes",
  },
  {
    of: ({ blkioWriteBps = [] }) => blkioWriteBps,
    fileV1: "blkio.throttle.write_bps_device",
    keyV2: "wbps",
    unit: "written bytes",
  },
  {
    of: ({ blkioReadIops = [] }) => blkioReadIops,
    fileV1: "blkio.throttle.read_iops_device",
    keyV2: "riops",
    unit: "reads",
  },
  {
    of: ({ blkioWriteIops = [] }) => blkioWriteIops,
    fileV1: "blkio.throttle.write_iops_device",
    keyV2: "wiops",
    unit: "writes",
  },
];

/** Rates are of what goes to the disk at once: v1 lets written pages go unlimited (cgroup-v1/blkio-controller.rst). */
export function blkioV1(resources: Resources, numberOf: DeviceNumber): CgroupWrite[] {
  const { blkioWeight = 0, blkioWeightDevices = [] } = resources;
  // The first of a kernel before 5.0, the second of the scheduler bfq.
  return [
    ...weights(["blkio.weight", "blkio.bfq.weight"], blkioWeight),
    ...blkioWeightDevices.flatMap(({ path, weight }) =>
      ["blkio.weight_device", "blkio.bfq.weight_device"].map((file) =>
        deviceWeight(file, path, `${numberOf(path)} ${weight}`),
      ),
    ),
    ...RATES.flatMap(({ of, fileV1, unit }) =>
      of(resources).map(({ path, rate }) =>
        blkio(fileV1, `${numberOf(path)} ${rate}`, rateReason(path, rate, unit)),
      ),
    ),
  ];
}

export function blkioV2(resources: Resources, numberOf: DeviceNumber): CgroupWrite[] {
  const { blkioWeight = 0, blkioWeightDevices = [] } = resources;
  return [
    ...weights(["io.bfq.weight"], blkioWeight),
    ...weights(["io.weight"], ioWeight(blkioWeight)),
    ...blkioWeightDevices.flatMap(({ path, weight }) => [
      deviceWeight("io.bfq.weight", path, `${numberOf(path)} ${weight}`),
      deviceWeight("io.weight", path, `${numberOf(path)} ${ioWeight(weight)}`),
    ]),
    ...RATES.flatMap(({ of, keyV2, unit }) =>
      of(resources).map(({ path, rate }) =>
        blkio(
          "io.max",
          `${numberOf(path)} ${keyV2}=${rate === 0 ? "max" : rate}`,
          rateReason(path, rate, unit),
        ),
      ),
    ),
  ];
}

/** v1's weight (10 to 1000) on the straight line to v2's (1 to 10000), as runc and crun have it. */
export function ioWeight(weight: number): number {
  return weight === 0 ? 0 : 1 + Math.floor(((weight - 10) * 9999) / 990);
}

function blkio(file: string, value: string, reason: string, optional = false): CgroupWrite {
  return { controller: "blkio", file, value, reason, ...(optional && { optional }) };
}

function weights(files: readonly string[], weight: number): CgroupWrite[] {
  if (weight === 0) return [];
  return files.map((file) =>
    blkio(file, String(weight), `weigh its disk use with ${weight}`, true),
  );
}

function deviceWeight(file: string, path: string, value: string): CgroupWrite {
  return blkio(file, value, `weigh its use of ${path}`, true);
}

function rateReason(path: string, rate: number, unit: string): string {
  return rate === 0 ? `lift a limit of ${path}` : `limit ${path} to ${rate} ${unit} a second`;
}
