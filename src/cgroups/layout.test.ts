import { describe, expect, test } from "bun:test";
import { hierarchyOf, parseLayout } from "./layout.ts";

const HYBRID = `30 22 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 30 0:31 / /sys/fs/cgroup/memory rw,relatime shared:4 - cgroup cgroup rw,memory
39 30 0:36 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
41 30 0:37 /x /mnt/elsewhere rw,relatime - cgroup2 cgroup2 rw
42 30 0:31 / /mnt/again rw,relatime - cgroup cgroup rw,memory
`;

describe("parseLayout()", () => {
  test("tells a hybrid host, and takes the first place of each hierarchy", () => {
    const layout = parseLayout(HYBRID);
    expect(layout.kind).toBe("hybrid");
    expect(layout.unified).toBe("/sys/fs/cgroup/unified");
    expect(hierarchyOf(layout, "cpuacct")).toBe("/sys/fs/cgroup/cpu,cpuacct");
    expect(hierarchyOf(layout, "memory")).toBe("/sys/fs/cgroup/memory");
    expect(hierarchyOf(layout, "pids")).toBeUndefined();
  });

  test("tells v2 alone", () => {
    const layout = parseLayout(
      "30 22 0:27 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
    );
    expect(layout).toEqual({ kind: "v2", unified: "/sys/fs/cgroup", hierarchies: [] });
  });

  test("tells v1 alone", () => {
    const lines = HYBRID.split("\n").filter((line) => !line.includes("cgroup2"));
    expect(parseLayout(lines.join("\n")).kind).toBe("v1");
  });

  test("reads names with blanks", () => {
    const layout = parseLayout("1 2 0:3 / /mnt/a\\040b rw - cgroup2 none rw\n");
    expect(layout.unified).toBe("/mnt/a b");
  });

  test("refuses a host without cgroups", () => {
    expect(() => parseLayout("1 2 0:3 / / rw - ext4 /dev/vda rw\n")).toThrow(/none are mounted/);
  });
});
