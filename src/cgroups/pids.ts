import type { Resources } from "./resources.ts";
import type { CgroupWrite } from "./write.ts";

/** The same file on v1 and v2. */
export function pids(resources: Resources): CgroupWrite[] {
  const { pidsLimit = 0 } = resources;
  if (pidsLimit <= 0) return [];
  return [
    {
      controller: "pids",
      file: "pids.max",
      value: String(pidsLimit),
      reason: `limit it to ${pidsLimit} processes and threads`,
    },
  ];
}

/** For a running container whose limit is lifted; a new one has none. */
export function pidsLifted({ pidsLimit = 0 }: Resources): CgroupWrite[] {
  if (pidsLimit >= 0) return [];
  const reason = "let it have any number of processes and threads";
  return [{ controller: "pids", file: "pids.max", value: "max", reason }];
}
