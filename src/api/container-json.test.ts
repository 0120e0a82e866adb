import { fixtureNetworks } from "./networks-fixture.ts";
import { describe, expect, test } from "bun:test";
import { readContainerSpec } from "./container-config.ts";
import { formatInspect, type InspectFacts, statusWords } from "./container-json.ts";
import { summarizer } from "./container-list.ts";
import { FixtureEngine, FixtureImages, fixtureContainer, fixtureImage } from "./engine-fixture.ts";
import bodies from "./fixture/create-bodies.json" with { type: "json" };
// Answers of dockerd 20.10.24 (API 1.41) for the same creates; values that differ by host are emptied.
import docker from "./fixture/docker-answers.json" with { type: "json" };
import { formatImage, summarizeImage } from "./image-json.ts";
import { JsonObject } from "./json-object.ts";
import { missingNames } from "./missing-names-fixture.ts";

const version = { major: 1, minor: 41 };

const facts: InspectFacts = {
  version,
  networks: fixtureNetworks("e"),
  places: { root: "/state", run: "/run", socket: "/run/s" },
  execIds: [],
  maskedPaths: ["/proc/kcore"],
  readOnlyPaths: ["/proc/sys"],
  cgroupnsMode: "private",
  volumePath: (name) => `/volumes/${name}`,
  layers: ["/lower", "/upper"],
};

function inspect(body: object): Record<string, unknown> {
  const spec = readContainerSpec(new JsonObject(body));
  return formatInspect(fixtureContainer("one", spec), facts);
}

/** Fields whose value differs, as docker's beside ours. */
function differences(theirs: object, ours: object): Record<string, [unknown, unknown]> {
  const own = ours as Record<string, unknown>;
  const entries: [string, unknown][] = Object.entries(theirs);
  return Object.fromEntries(
    entries
      .filter(([name, value]) => !Bun.deepEquals(value, own[name]))
      .map(([name, value]) => [name, [value, own[name]] as [unknown, unknown]]),
  );
}

describe("an inspect", () => {
  const pairs = [
    ["short", docker.inspectShort, inspect(bodies.short)],
    ["long", docker.inspectLong, inspect({ ...bodies.long })],
  ] as const;

  for (const [name, theirs, ours] of pairs) {
    test(`of the ${name} create has all of docker's names`, () => {
      expect(missingNames(theirs, ours)).toEqual([]);
    });
  }

  test("has the host's and the container's part in docker's order", () => {
    const [, theirs, ours] = pairs[0];
    for (const part of ["Config", "HostConfig"] as const) {
      // Where the terminal's size stands has changed since.
      const names = Object.keys(theirs[part]).filter((name) => name !== "ConsoleSize");
      const shared = Object.keys(ours[part] as object).filter((name) => names.includes(name));
      expect(shared).toEqual(names.filter((name) => shared.includes(name)));
    }
  });

  test("of a privileged container has no lists of hidden paths", () => {
    const paths = (hostConfig: object) => {
      const { HostConfig } = inspect({ Image: "box", HostConfig: hostConfig });
      return HostConfig as { MaskedPaths: unknown; ReadonlyPaths: unknown };
    };
    expect(paths({ Privileged: true })).toMatchObject({ MaskedPaths: null, ReadonlyPaths: null });
    expect(paths({}).MaskedPaths).toEqual(["/proc/kcore"]);
  });

  test("tells of log lines that a full disk cost, and only then", () => {
    const shown = (lostLogBytes: number) => {
      const container = fixtureContainer("one", {}, { lostLogBytes });
      return formatInspect(container, facts)["State"];
    };
    expect(shown(12)).toHaveProperty("LostLogBytes", 12);
    expect(shown(0)).not.toHaveProperty("LostLogBytes");
  });

  test("gives back what the create body said", () => {
    const [, theirs, ours] = pairs[1];
    expect(differences(theirs.Config, ours["Config"] as object)).toEqual({});
    expect(differences(theirs.HostConfig, ours["HostConfig"] as object)).toEqual({
      LogConfig: [
        { Type: "json-file", Config: {} },
        { Type: "cri", Config: {} },
      ],
      CgroupnsMode: ["host", "private"],
      MaskedPaths: [expect.any(Array), ["/proc/kcore"]],
      ReadonlyPaths: [expect.any(Array), ["/proc/sys"]],
      Runtime: ["runc", "tiffin"],
    });
  });

  test("gives the mounts as docker does, with our default propagation", () => {
    const [, , ours] = pairs[1];
    const theirs = docker.inspectLong.Mounts.map((mount) => ({
      ...mount,
      // Docker's default is rslave below its own data directory, where the fixture's mounts lie.
      Propagation: mount.Destination === "/a" ? "rprivate" : mount.Propagation,
    }));
    expect(ours["Mounts"]).toEqual(theirs);
  });

  test("can be sent as a create body again", () => {
    for (const body of [bodies.short, bodies.long]) {
      const spec = readContainerSpec(new JsonObject(body));
      const answer = inspect(body);
      const { LogConfig: _, ...hostConfig } = answer["HostConfig"] as Record<string, unknown>;
      const again = readContainerSpec(
        new JsonObject({ ...(answer["Config"] as object), HostConfig: hostConfig }),
      );
      expect(again).toEqual({
        ...spec,
        // Docker's answer names the defaults that a body may leave out.
        cgroupnsMode: "private",
        ipcMode: "private",
        shmBytes: 67108864,
        // The image's own entrypoint and an empty one read the same in docker's answer.
        mounts: spec.mounts,
      });
    }
  });

  test("names our annotation and the owner's bind", () => {
    const answer = inspect({
      Image: "box:1",
      HostConfig: {
        Binds: ["/a:/b:ro,me,rshared,z"],
        Annotations: { "dev.tiffin.time-offset": "60" },
      },
    });
    expect(answer["HostConfig"]).toMatchObject({
      Binds: ["/a:/b:ro,me,rshared,z"],
      Annotations: { "dev.tiffin.time-offset": "60" },
    });
  });
});

describe("other answers have all of docker's names", () => {
  test("a list of containers", async () => {
    const engine = new FixtureEngine([]);
    const spec = readContainerSpec(new JsonObject(bodies.short));
    const summary = await summarizer(engine, true)(fixtureContainer("one", spec));
    expect(missingNames(docker.containers[0], summary)).toEqual([]);
  });

  test("an image and a list of images", () => {
    expect(missingNames(docker.image, formatImage(fixtureImage, ["/a"], version))).toEqual([]);
    expect(missingNames(docker.images[0], summarizeImage(fixtureImage, version))).toEqual([]);
  });
});

describe("the status of a container", () => {
  const now = Date.parse("2026-11-24T08:10:00Z");
  const times = { startedAt: "2026-11-24T08:07:00Z", finishedAt: "2026-11-24T08:09:58Z" };
  const cases: [Parameters<typeof fixtureContainer>[2], string][] = [
    [{}, "Created"],
    [{ status: "running", ...times }, "Up 3 minutes"],
    [{ status: "paused", ...times }, "Up 3 minutes (Paused)"],
    [{ status: "exited", exitCode: 137, ...times }, "Exited (137) 2 seconds ago"],
    [{ status: "removing", ...times }, "Removal In Progress"],
    [{ status: "dead", ...times }, "Dead"],
  ];
  for (const [state, words] of cases) {
    test(`reads "${words}"`, () => {
      expect(statusWords(fixtureContainer("one", {}, state), now)).toBe(words);
    });
  }
});

test("a container whose image lost its name shows the image's ID", async () => {
  const images = new FixtureImages();
  const engine = new FixtureEngine([], images);
  const summarize = summarizer(engine, false);
  expect((await summarize(fixtureContainer("one"))).Image).toBe("box:1");
  expect((await summarize(fixtureContainer("two", { image: "gone:1" }))).Image).toBe(
    fixtureImage.id,
  );
});
