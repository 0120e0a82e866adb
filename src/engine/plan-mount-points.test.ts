import { describe, expect, test } from "bun:test";
import { TiffinError } from "../base/error.ts";
import { planMountPoints } from "./plan-mount-points.ts";
import { emptySpec } from "./spec-defaults.ts";
import type { Container, ContainerSpec, MountSpec } from "./types.ts";

function mount(more: Partial<MountSpec>): MountSpec {
  return {
    asked: "volume-flag",
    type: "volume",
    source: "",
    target: "/x",
    readOnly: false,
    propagation: "",
    createSource: false,
    asOwner: false,
    options: [],
    ...more,
  };
}

function plan(more: Partial<ContainerSpec>, others: Record<string, Partial<ContainerSpec>> = {}) {
  const find = (name: string): Pick<Container, "spec"> => {
    const other = others[name];
    if (!other) throw new TiffinError("not-found", `No such container: ${name}`);
    const spec = { ...emptySpec("box"), ...other };
    return { spec: { ...spec, mountPoints: planMountPoints(spec, find) } };
  };
  return planMountPoints({ ...emptySpec("box"), ...more }, find);
}

describe("the mounts of a new container", () => {
  test("are a volume of its own for each path of the image that has no other mount", () => {
    const points = plan({
      volumes: ["/data/", "var/lib", "/x", "/a/../b"],
      mounts: [mount({ source: "named" })],
    });
    expect(points.map(({ target, anonymous }) => [target, anonymous])).toEqual([
      ["/x", false],
      ["/data", true],
      ["/var/lib", true],
      ["/b", true],
    ]);
    const names = points.slice(1).map(({ source }) => source);
    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(name).toMatch(/^[0-9a-f]{64}$/);
  });

  test("never are the root", () => {
    for (const path of ["/", "", "..", "/a/..", "."]) {
      expect(() => plan({ volumes: [path] })).toThrow("destination can't be '/'");
    }
  });

  test("are those of other containers where the container's own are not", () => {
    const others = {
      one: {
        mounts: [mount({ source: "data", target: "/data" }), mount({ source: "o", target: "/x" })],
        volumes: ["/anon"],
      },
      two: { mounts: [mount({ source: "two", target: "/data", readOnly: true })] },
    };
    const points = plan(
      { volumesFrom: ["one:ro", "two"], mounts: [mount({ source: "own" })], volumes: ["/anon"] },
      others,
    );
    const shown = points.map(({ target, source, readOnly, anonymous }) => [
      target,
      anonymous ? "" : source,
      readOnly,
    ]);
    expect(shown).toEqual([
      ["/anon", "", true],
      ["/data", "two", true],
      ["/x", "own", false],
    ]);
  });

  test("of other containers do not bring their tmpfs", () => {
    const tmpfs = mount({ asked: "tmpfs-flag", type: "tmpfs", target: "/t" });
    expect(plan({ volumesFrom: ["one"] }, { one: { mounts: [tmpfs] } })).toEqual([]);
  });

  test("of a container that is not there are refused without docker's client pulling an image", () => {
    expect(() => plan({ volumesFrom: ["gone"] })).toThrow(
      expect.objectContaining({ code: "invalid-argument", message: "No such container: gone" }),
    );
  });

  test("have docker's word z where a volume has none", () => {
    const mode = (more: Partial<MountSpec>) => plan({ mounts: [mount(more)] })[0]?.mode;
    expect(mode({ source: "data" })).toBe("z");
    expect(mode({ source: "data", words: "ro" })).toBe("ro");
    expect(mode({ source: "data", asked: "mount-flag" })).toBe("z");
    expect(mode({ type: "bind", source: "/data" })).toBe("");
    expect(plan({ volumes: ["/data"] })[0]?.mode).toBe("");
  });

  test("of a driver that is not there are refused", () => {
    const mounts = [mount({ source: "data" })];
    expect(plan({ mounts, volumeDriver: "local" })).toHaveLength(1);
    expect(() => plan({ mounts, volumeDriver: "rexray" })).toThrow('plugin "rexray" not found');
  });
});
