/** What takes space, and how it is given back: system df and the prunes, by tiffin and by docker's client. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { callApi, callOk } from "./engine-api.ts";
import { isCurrentDocker } from "./docker-client.ts";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skipped: prune: ${obstacle}`);

let engine: EngineFixture;
const hasOwnWords = isCurrentDocker("--format json, the words and sizes of df, prune and info");

interface Usage {
  readonly LayersSize: number;
  readonly Images: { Id: string; Size: number; SharedSize: number; Containers: number }[] | null;
  readonly Containers: { Id: string; SizeRw?: number }[] | null;
  readonly Volumes: unknown[] | null;
}

describe.skipIf(obstacle !== undefined)("space", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterEach(async () => await engine.removeContainers());
  afterAll(async () => await engine.close());

  const df = (query = ""): Promise<Usage> => callOk<Usage>(engine, "GET", `/system/df${query}`);

  /** A container that has ended and holds some bytes. */
  async function ended(name: string, bytes: number, ...options: string[]): Promise<string> {
    const script = `head -c ${bytes} /dev/zero > /data`;
    await engine.dockerOk("run", "--name", name, ...options, "busybox", "sh", "-c", script);
    return await engine.dockerOk("inspect", "-f", "{{.Id}}", name);
  }

  async function running(name: string): Promise<void> {
    await engine.dockerOk("run", "-d", "--name", name, "busybox", "sleep", "1000");
  }

  /** An image of one file; the same bytes are the same layer. */
  async function imageOf(bytes: number, name: string, ...changes: string[]): Promise<void> {
    const tree = join(engine.directory, "tree");
    mkdirSync(join(tree, "d"), { recursive: true });
    writeFileSync(join(tree, "d/data"), Buffer.alloc(bytes, "x"));
    const archive = join(engine.directory, "tree.tar");
    const pack = engine.start("tar", ["-C", tree, "--mtime=@1", "-cf", archive, "."]);
    expect((await pack.ended).status).toBe(0);
    await engine.tiffinOk("import", ...changes.flatMap((one) => ["-c", one]), archive, name);
    rmSync(tree, { recursive: true });
  }

  test("tiffin and docker show the same space: images, containers, what could be reclaimed", async () => {
    await ended("old", 5000);
    await running("young");
    const usage = await df();
    const sizes = usage.Containers?.map(({ SizeRw = 0 }) => SizeRw);
    expect(sizes?.toSorted((a, b) => a - b)).toEqual([0, 5000]);
    const image = usage.Images?.[0];
    expect(image).toMatchObject({ SharedSize: 0, Containers: 2, Size: usage.LayersSize });
    for (const args of [
      ["df"],
      ...(hasOwnWords ? [["df", "--format", "json"]] : []),
      ["df", "--format", "{{.Type}}:{{.Size}}"],
    ]) {
      const [own, docker] = [
        await engine.tiffinOk("system", ...args),
        await engine.dockerOk("system", ...args),
      ];
      expect(own).toBe(docker);
    }
    const table = await engine.tiffinOk("system", "df");
    expect(table).toMatch(/^Containers +2 +1 +5kB +5kB \(100%\)$/m);
    expect(table).toMatch(/^Images +1 +1 +\S+ +0B \(0%\)$/m);
  });

  test("system df -v: a table of each kind, as docker's", async () => {
    await ended("old", 5000);
    await engine.dockerOk("volume", "create", "kept");
    const sections = (text: string): string[] =>
      text
        .split(/\n\n/)
        .map((part) =>
          part.replaceAll(/\d+ \w+ ago|Less than a second ago/g, "AGO").replaceAll(/ +/g, " "),
        );
    const [all, docker] = [
      sections(await engine.tiffinOk("system", "df", "-v")),
      sections(await engine.dockerOk("system", "df", "-v")),
    ];
    // Docker does not count what images keep beside their files.
    expect(all.at(-1)).toMatch(/^Kept beside the images' files: /);
    if (hasOwnWords) {
      expect(all.slice(0, -1).join("\n\n").trim()).toBe(docker.join("\n\n").trim());
    }
    const own = await engine.tiffinOk("system", "df", "-v");
    expect(own).toMatch(/^VOLUME NAME +LINKS +SIZE\nkept +0 +0B$/m);
    expect(own).toMatch(
      /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE +SHARED SIZE +UNIQUE SIZE +CONTAINERS$/m,
    );
    const names = ["-v", "--format", "{{range .Containers}}{{.Names}} {{.Size}}{{end}}"];
    expect(await engine.tiffinOk("system", "df", ...names)).toBe("old 5kB");
    await engine.dockerOk("volume", "rm", "kept");
  });

  test("the API counts what it was asked for, and refuses kinds that are none", async () => {
    const usage = await df("?type=image");
    expect(usage.Images).toHaveLength(1);
    expect(usage.Containers).toBeNull();
    expect(usage.Volumes).toBeNull();
    const { status, text } = await callApi(engine, "GET", "/system/df?type=box");
    expect([status, text]).toEqual([400, expect.stringContaining("unknown object type: box")]);
  });

  test("layers that images share count once, and go with the last of them", async () => {
    await imageOf(7000, "one:1");
    await imageOf(7000, "two:1", "LABEL kept=yes");
    const before = await df("?type=image");
    const shared = before.Images?.filter(({ SharedSize }) => SharedSize === 7000) ?? [];
    expect(shared).toHaveLength(2);
    const all = before.Images?.reduce((sum, { Size }) => sum + Size, 0) ?? 0;
    expect(before.LayersSize).toBe(all - 7000);
    const prune = (filter: object) =>
      callOk<{ SpaceReclaimed: number; ImagesDeleted: { Untagged?: string }[] | null }>(
        engine,
        "POST",
        `/images/prune?filters=${encodeURIComponent(JSON.stringify(filter))}`,
      );
    // The busybox image stays: a container has it.
    await engine.dockerOk("create", "--name", "user", "busybox", "true");
    const first = await prune({ dangling: ["false"], "label!": ["kept"] });
    expect(first.ImagesDeleted?.[0]).toEqual({ Untagged: "one:1" });
    expect(first.SpaceReclaimed).toBe(0);
    const second = await prune({ dangling: ["false"] });
    expect(second.SpaceReclaimed).toBe(7000);
    expect((await df("?type=image")).Images).toHaveLength(1);
  });

  test("image prune takes only images without a name, with -a all that no container has; until spares the young", async () => {
    await imageOf(1000, "first:1");
    await imageOf(2000, "first:1");
    const dangling = await engine.tiffinOk("images", "-qf", "dangling=true");
    expect(dangling).not.toBe("");
    await engine.dockerOk("create", "--name", "user", "busybox", "true");
    expect(await engine.dockerOk("image", "prune", "-f", "--filter", "until=1h")).toBe(
      "Total reclaimed space: 0B",
    );
    const pruned = await engine.tiffinOk("image", "prune", "-f");
    expect(pruned).toMatch(
      /^Deleted Images:\ndeleted: sha256:[0-9a-f]{64}\n(deleted: .*\n)*\nTotal reclaimed space: 1kB$/,
    );
    const dry = await engine.tiffinOk("image", "prune", "-a", "--dry-run");
    expect(dry).toMatch(
      /image +[0-9a-f]{12} +first:1 +2kB\nTotal space that would be reclaimed: 2kB$/,
    );
    expect(await engine.tiffinOk("images", "-q", "first")).not.toBe("");
    expect(await engine.dockerOk("image", "prune", "-af")).toMatch(
      /^Deleted Images:\nuntagged: first:1\ndeleted: .*\n[\s\S]*Total reclaimed space: 2kB$/,
    );
    expect((await engine.tiffinOk("images", "-q")).split("\n")).toHaveLength(1);
  });

  test.each(["docker", "tiffin"] as const)(
    "%s container prune: those that do not run, by filters",
    async (client) => {
      const [a, b] = [await ended("aa", 4000, "--label", "keep"), await ended("bb", 6000)];
      await running("cc");
      const ok = (...args: string[]): Promise<string> =>
        client === "docker" ? engine.dockerOk(...args) : engine.tiffinOk(...args);
      const prune = (...args: string[]) => ok("container", "prune", "-f", ...args);
      expect(await prune("--filter", "until=1h")).toBe("Total reclaimed space: 0B");
      expect(await prune("--filter", "label!=keep")).toBe(
        `Deleted Containers:\n${b}\n\nTotal reclaimed space: 6kB`,
      );
      expect(await prune()).toBe(`Deleted Containers:\n${a}\n\nTotal reclaimed space: 4kB`);
      expect(await engine.dockerOk("ps", "-a", "--format", "{{.Names}}")).toBe("cc");
    },
  );

  test.each(["docker", "tiffin"] as const)("%s asks first: only y is a yes", async (client) => {
    await ended("aa", 1);
    for (const answer of ["n\n", "\n", "yes\n", ""]) {
      const ran = await engine[client](["container", "prune"], { stdin: answer });
      // An older client says to a no what it says at the end.
      const stdout = hasOwnWords
        ? ran.stdout
        : ran.stdout.replace(/Total reclaimed space: 0B\n$/, "");
      expect([answer, ran.status, stdout]).toEqual([
        answer,
        0,
        "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ",
      ]);
    }
    const ran = await engine[client](["container", "prune"], {
      stdin: hasOwnWords ? " Y \n" : "y\n",
    });
    expect(ran.stdout).toMatch(
      /\[y\/N\] Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: 1B\n$/,
    );
  });

  test("system prune asks in docker's words and removes what docker would", async () => {
    await imageOf(3000, "unused:1");
    await engine.dockerOk("run", "--name", "aa", "-v", "/anonymous", "busybox", "true");
    await running("cc");
    for (const args of [
      ["system", "prune"],
      ["system", "prune", "-a", "--filter", "until=1h", "--filter", "label=x"],
      ["system", "prune", "--volumes", "--all"],
    ]) {
      const [own, docker] = [
        await engine.tiffin(args, { stdin: "n\n" }),
        await engine.docker(args, { stdin: "n\n" }),
      ];
      expect([args, own.status]).toEqual([args, docker.status]);
      if (hasOwnWords) expect([args, own.stdout]).toEqual([args, docker.stdout]);
    }
    const refused = await engine.tiffin(["system", "prune", "--volumes", "--filter", "until=1h"]);
    expect(refused.stderr).toContain('ERROR: The "until" filter is not supported with "--volumes"');
    const dry = await engine.tiffinOk("system", "prune", "-a", "--volumes", "--dry-run");
    expect(dry).toMatch(/^container +[0-9a-f]{12} +aa +0B$/m);
    expect(dry).toMatch(/^image +[0-9a-f]{12} +unused:1 +3kB$/m);
    expect(dry).toMatch(/would be reclaimed: 3kB$/);
    const pruned = await engine.dockerOk("system", "prune", "-af", "--volumes");
    expect(pruned).toMatch(/^Deleted Containers:\n/);
    expect(pruned).toMatch(/^Deleted Volumes:\n/m);
    expect(pruned).toMatch(/^untagged: unused:1$/m);
    expect(pruned).toMatch(/Total reclaimed space: 3kB$/);
    expect(await engine.dockerOk("ps", "-a", "--format", "{{.Names}}")).toBe("cc");
    expect(await engine.tiffinOk("system", "prune", "-f")).toBe("Total reclaimed space: 0B");
  });

  test("a dry run of all sees the images that their last container keeps", async () => {
    await imageOf(3000, "used:1", 'CMD ["/d"]');
    await engine.dockerOk("create", "--name", "last", "used:1");
    const dry = await engine.tiffinOk("system", "prune", "-a", "--dry-run");
    expect(dry).toMatch(/^image +[0-9a-f]{12} +used:1 +3kB$/m);
    expect(await engine.tiffinOk("image", "prune", "-a", "--dry-run")).not.toContain("used:1");
    await engine.dockerOk("rm", "last");
    await engine.dockerOk("rmi", "used:1");
  });

  test("prunes are told as events", async () => {
    const since = String(Date.now() / 1000 - 1);
    await engine.dockerOk("system", "prune", "-f");
    const events = await engine.dockerOk(
      "events",
      "--since",
      since,
      "--until",
      String(Date.now() / 1000 + 1),
      "--filter",
      "event=prune",
      "--format",
      "{{.Type}} {{.Actor.Attributes.reclaimed}}",
    );
    expect(events.split("\n")).toEqual(["container 0", "network 0", "image 0"]);
  });

  test("info: docker shows what tiffin shows", async () => {
    await engine.dockerOk("create", "--name", "made", "busybox", "true");
    const lines = (text: string): string[] =>
      text
        .split("\n")
        .filter((line) => !/Version: +\S+$|^ (containerd|runc|init) version|^Client:/.test(line))
        // Docker's client of that version leaves the firewall's backend out.
        .filter((line) => !/^ Firewall Backend:|^  (Policy|Table): /.test(line))
        // Docker's client shows them in any order.
        .map((line) => (line.startsWith(" Runtimes:") ? line.split(" ").sort().join(" ") : line));
    const [own, docker] = [await engine.tiffinOk("info"), await engine.dockerOk("info")];
    expect(docker).toContain(" Stopped: 1\n");
    if (hasOwnWords) expect(lines(own)).toEqual(lines(docker));
    const format =
      "{{.Containers}} {{.ContainersStopped}} {{.Swarm.LocalNodeState}} {{json .Plugins.Log}}";
    expect(await engine.tiffinOk("info", "-f", format)).toBe(
      await engine.dockerOk("info", "-f", format),
    );
  });
});
