/** Each of docker's commands for images, run by its own client, and by an old one where there are two. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  busyboxTree,
  type EngineFixture,
  engineObstacle,
  openEngineFixture,
} from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skip: docker's image commands: ${obstacle}`);
const missing = ["umoci", "skopeo"].filter((program) => Bun.which(program) === null);
if (missing.length > 0)
  console.log(`skip: archives of other tools: this needs ${missing.join(", ")}`);
const versions = ["/usr/bin/docker", "/usr/local/bin/docker"].filter((path) => existsSync(path));
if (versions.length < 2)
  console.log("skip: a second version of docker's client: there is one only");

let engine: EngineFixture;
const docker = (...args: string[]) => engine.dockerOk(...args);
const status = async (...args: string[]) => (await engine.docker(args)).status;

/** A shell command with docker's client at hand; its status must be 0. */
async function shell(script: string): Promise<string> {
  const ran = await engine.start("sh", ["-ec", script]).ended;
  expect({ script, status: ran.status, stderr: ran.stderr }).toMatchObject({ script, status: 0 });
  return ran.stdout.trimEnd();
}

describe.skipIf(obstacle !== undefined)("docker", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterAll(async () => await engine.close());

  test("import: from stdin and a file, with --change and --message, without a name", async () => {
    const tree = busyboxTree(engine.directory);
    const id = await shell(
      `tar -C ${tree} -c . | docker import -c 'CMD ["id","-u"]' -c 'ENV A=b' -c 'WORKDIR /tmp' -c 'USER ann' -c 'LABEL k=v' -m 'first of all' - made:1`,
    );
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await docker("run", "--rm", "made:1")).toBe("1000");
    expect(await docker("run", "--rm", "made:1", "sh", "-c", "pwd; echo $A")).toBe("/tmp\nb");
    const format =
      "{{.Id}} {{json .Config.Cmd}} {{.Comment}} {{json .Config.Labels}} {{len .RootFS.Layers}} {{.Os}}";
    expect(await docker("inspect", "-f", format, "made:1")).toBe(
      `${id} ["id","-u"] first of all {"k":"v"} 1 linux`,
    );
    const bare = await docker("import", join(engine.directory, "busybox.tar"));
    expect(await docker("images", "-q", "--no-trunc", "-f", "dangling=true")).toBe(bare);
    expect(await docker("run", "--rm", bare, "echo", "ok")).toBe("ok");
    await docker("rmi", bare, "made:1");
  });

  test("import refuses what is no archive, and leaves nothing", async () => {
    const before = await docker("images", "-aq");
    const ran = await engine.docker(["import", "-", "broken"], {
      stdin: "this is no archive at all",
    });
    expect(ran.status).toBe(1);
    const archive = readFileSync(join(engine.directory, "busybox.tar"));
    const cut = await engine.docker(["import", "-", "broken"], {
      stdin: archive.subarray(0, 1_000_000),
    });
    expect(cut.status).toBe(1);
    expect(cut.stderr).toMatch(/ends|truncated|unexpected/i);
    expect(await docker("images", "-aq")).toBe(before);
    expect(await engine.tiffinOk("system", "check")).toContain("Everything");
    expect(await status("import", "/no/such/file", "broken")).toBe(1);
  });

  test("images: columns, -q, --no-trunc, --digests, --format, --filter", async () => {
    await docker("tag", "busybox", "team/app:1");
    await docker("tag", "busybox", "registry.example:5000/team/app:2");
    const [head, ...rows] = (await docker("images")).split("\n");
    expect(head).toMatch(/^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$/);
    expect(rows.length).toBe(3);
    const id = await docker("images", "-q", "busybox");
    expect(id).toMatch(/^[0-9a-f]{12}$/);
    expect(await docker("images", "-q", "--no-trunc", "busybox:latest")).toStartWith(
      `sha256:${id}`,
    );
    const names = async (...args: string[]) =>
      (await docker("images", "--format", "{{.Repository}}:{{.Tag}}", ...args))
        .split("\n")
        .toSorted()
        .join(" ");
    expect(await names()).toBe("busybox:latest registry.example:5000/team/app:2 team/app:1");
    expect(await names("team/app")).toBe("team/app:1");
    expect(await names("-f", "reference=*/app")).toBe("team/app:1");
    expect(await names("-f", "reference=busy*")).toBe("busybox:latest");
    expect(await names("-f", "dangling=true")).toBe("");
    expect(await names("-f", "label=none")).toBe("");
    expect(await docker("images", "--digests")).toContain("DIGEST");
    expect(await status("images", "-f", "no-such=1")).toBe(1);
    await docker("rmi", "team/app:1", "registry.example:5000/team/app:2");
  });

  test("rmi: a name, an image in use, by id with several names, force", async () => {
    const id = await docker("images", "-q", "busybox");
    await docker("tag", "busybox", "other");
    expect(await docker("rmi", "other")).toBe("Untagged: other:latest");
    expect(await status("rmi", "other")).toBe(1);
    await docker("tag", id, "other:x");
    const ambiguous = await engine.docker(["rmi", id]);
    expect(ambiguous.status).toBe(1);
    expect(ambiguous.stderr).toContain("must be forced");
    await docker("rmi", "other:x");
    await docker("create", "--name", "user", "busybox", "true");
    const used = await engine.docker(["rmi", "busybox"]);
    expect(used.status).toBe(1);
    expect(used.stderr).toContain("is using");
    await docker("rm", "user");
    await docker("tag", "busybox", "spare");
    const removed = await docker("rmi", "-f", id);
    expect(removed).toContain("Untagged: busybox:latest");
    expect(removed).toContain("Untagged: spare:latest");
    expect(removed).toContain(`Deleted: sha256:${id}`);
    await engine.importBusybox();
  });

  test("tag: onto another image moves the name; bad names", async () => {
    const other = await docker(
      "import",
      "-m",
      "other",
      join(engine.directory, "busybox.tar"),
      "moved",
    );
    await docker("tag", "busybox", "moved");
    expect(await docker("images", "-q", "moved")).toBe(await docker("images", "-q", "busybox"));
    expect(await docker("images", "-q", "--no-trunc", "-f", "dangling=true")).toBe(other);
    await docker("rmi", other, "moved");
    expect(await status("tag", "busybox", "UPPER")).toBe(1);
    expect(await status("tag", "no-such", "x")).toBe(1);
  });

  test("history of an import is in inspect's dates, and events tell of images", async () => {
    const since = String(Date.now() / 1000);
    await docker("tag", "busybox", "told:1");
    await docker("rmi", "told:1");
    const words = [
      "--since",
      since,
      "--until",
      String(Date.now() / 1000 + 1),
      "--format",
      "{{.Type}} {{.Action}}",
    ];
    const told = (await docker("events", ...words)).split("\n");
    expect(told).toContain("image tag");
    expect(told).toContain("image untag");
    expect(Date.parse(await docker("inspect", "-f", "{{.Created}}", "busybox"))).toBeGreaterThan(0);
  });

  test.skipIf(missing.length > 0)(
    "load: a docker-archive of skopeo's with two layers of umoci's, from stdin and a file",
    async () => {
      const tree = busyboxTree(engine.directory);
      await shell(`cd ${engine.directory}; umoci init --layout oci; umoci new --image oci:a
        umoci unpack --image oci:a b1; cp -a ${tree}/. b1/rootfs/; umoci repack --image oci:a b1
        umoci unpack --image oci:a b2; rm -r b2/rootfs/root; echo second >b2/rootfs/second; umoci repack --image oci:a b2
        umoci config --image oci:a --config.cmd cat --config.cmd /second --config.env X=y
        skopeo copy -q oci:oci:a docker-archive:d.tar:loaded:v1; skopeo copy -q oci:oci:a oci-archive:o.tar:loaded:v2; gzip -k d.tar`);
      const archive = join(engine.directory, "d.tar");
      expect(await docker("load", "-i", archive)).toBe("Loaded image: loaded:v1");
      expect(await docker("run", "--rm", "loaded:v1")).toBe("second");
      expect(
        await docker(
          "run",
          "--rm",
          "loaded:v1",
          "sh",
          "-c",
          "ls -d /root 2>/dev/null; echo $X; id -u",
        ),
      ).toBe("y\n0");
      await docker("rmi", "loaded:v1");
      expect(await docker("load", "-q", "-i", join(engine.directory, "d.tar.gz"))).toBe(
        "Loaded image: loaded:v1",
      );
      expect(
        (await engine.docker(["load"], { stdin: readFileSync(join(engine.directory, "o.tar")) }))
          .stdout,
      ).toContain("Loaded image: loaded:v2");
      expect(await docker("run", "--rm", "loaded:v2")).toBe("second");
      const broken = await engine.docker(["load"], {
        stdin: readFileSync(archive).subarray(0, 700_000),
      });
      expect(broken.status).toBe(1);
      await docker("rmi", "loaded:v1", "loaded:v2");
      expect(await engine.tiffinOk("system", "check")).toContain("Everything");
    },
  );

  test("the built-in image runs without having been loaded", async () => {
    expect(await docker("run", "--rm", "hello")).toContain("Hello from Tiffin");
    expect(await docker("inspect", "-f", "{{len .RootFS.Layers}}", "hello")).toBe("2");
  });

  test("info and version, whole and by template", async () => {
    expect(await docker("info")).toContain("Server Version:");
    const info = JSON.parse(await docker("info", "--format", "{{json .}}")) as {
      Images: number;
      SecurityOptions: string[];
    };
    expect(info.Images).toBeGreaterThan(0);
    expect(info.SecurityOptions).toContain("name=userns");
    expect(await docker("info", "-f", "{{.OSType}} {{.NCPU}} {{.DockerRootDir}}")).toMatch(
      new RegExp(`^linux \\d+ ${engine.root}$`),
    );
    expect(
      await docker("version", "--format", "{{.Server.Platform.Name}} {{.Server.Os}}"),
    ).toContain("linux");
    expect(await docker("version", "-f", "{{.Server.MinAPIVersion}}")).toBe("1.24");
  });

  test("an API version of long ago is still spoken, a newer one than known is refused", async () => {
    const env = { DOCKER_API_VERSION: "1.24" };
    const old = await engine.docker(["run", "--rm", "busybox", "echo", "old"], { env });
    expect(old).toMatchObject({ status: 0, stdout: "old\n" });
    expect((await engine.docker(["ps", "-a"], { env })).status).toBe(0);
    expect((await engine.docker(["ps"], { env: { DOCKER_API_VERSION: "1.23" } })).status).not.toBe(
      0,
    );
  });

  describe.skipIf(versions.length < 2).each(versions)("%s", (client) => {
    const run = async (...args: string[]) => await engine.start(client, args).ended;
    const output = async (...args: string[]) => {
      const ran = await run(...args);
      expect({ args, status: ran.status, stderr: ran.status === 0 ? "" : ran.stderr }).toEqual({
        args,
        status: 0,
        stderr: "",
      });
      return ran.stdout.trimEnd();
    };

    test("the same commands, with the other version", async () => {
      expect(await output("version", "-f", "{{.Client.Version}}")).toMatch(/^\d+\./);
      expect(await output("info", "-f", "{{.ServerVersion}}")).not.toBe("");
      expect(
        await output(
          "run",
          "--rm",
          "-e",
          "A=b",
          "-u",
          "ann",
          "--memory",
          "32m",
          "busybox",
          "sh",
          "-c",
          "id -un; echo $A",
        ),
      ).toBe("ann\nb");
      expect((await run("run", "--rm", "busybox", "no-such")).status).toBe(127);
      expect((await run("run", "--rm", "busybox", "sh", "-c", "exit 3")).status).toBe(3);
      await output(
        "run",
        "-d",
        "--name",
        "both",
        "--init",
        "busybox",
        "sh",
        "-c",
        "echo up; sleep 1000",
      );
      expect(await output("ps", "--format", "{{.Names}} {{.State}}")).toBe("both running");
      expect(await output("exec", "both", "echo", "in")).toBe("in");
      await engine.start("sh", ["-c", "until docker logs both | grep -q up; do sleep 0.05; done"])
        .ended;
      expect(await output("logs", "both")).toBe("up");
      await output("stop", "-t", "5", "both");
      expect(await output("wait", "both")).toBe("143");
      expect(await output("inspect", "-f", "{{.State.Status}}", "both")).toBe("exited");
      await output("rm", "both");
      expect(await output("create", "--name", "both", "busybox", "true")).toMatch(/^[0-9a-f]{64}$/);
      await output("rm", "-f", "both");
      await output("tag", "busybox", "both:1");
      expect(await output("images", "--format", "{{.Tag}}", "both")).toBe("1");
      await output("rmi", "both:1");
      await output("import", join(engine.directory, "busybox.tar"), "both:2");
      await output("rmi", "both:2");
      const echoed = engine.start(client, ["run", "--rm", "-i", "busybox", "cat"]);
      echoed.write("half");
      echoed.endInput();
      expect(await echoed.ended).toMatchObject({ status: 0, stdout: "half" });
    });
  });
});
