/** Options of run and create about the container as a thing: its file, labels, names, platform; by docker and by tiffin. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isCurrentDocker } from "./docker-client.ts";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skipped: options of creation: ${obstacle}`);

const OTHER = process.arch === "arm64" ? "amd64" : "arm64";
const OWN = process.arch === "arm64" ? "arm64" : "amd64";

describe.skipIf(obstacle !== undefined)("run and create", () => {
  let engine: EngineFixture;
  const inspected = (id: string, format: string) => engine.tiffinOk("inspect", "-f", format, id);

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterAll(async () => await engine.close());

  for (const program of ["docker", "tiffin"] as const) {
    describe(`by ${program}`, () => {
      const isCurrent =
        program === "tiffin" || isCurrentDocker("--annotation, create --pull, run -q");
      const run = (...args: string[]) => engine[program](args);
      const ok = (...args: string[]) =>
        program === "docker" ? engine.dockerOk(...args) : engine.tiffinOk(...args);

      test("--cidfile: holds the id; one that is there already is an error, and nothing is made", async () => {
        const file = join(engine.directory, `${program}.cid`);
        const id = await ok("create", "--cidfile", file, "busybox", "true");
        expect(readFileSync(file, "utf8")).toBe(id);
        const before = await engine.tiffinOk("ps", "-aq");
        const again = await run("create", "--cidfile", file, "busybox", "true");
        expect(again.status).not.toBe(0);
        expect(again.stderr).toContain("container ID file found");
        expect(await engine.tiffinOk("ps", "-aq")).toBe(before);
        const fresh = join(engine.directory, `${program}-2.cid`);
        expect((await run("run", "--cidfile", fresh, "no-such-image-here/x", "true")).status).toBe(
          125,
        );
        expect(existsSync(fresh) && readFileSync(fresh, "utf8") !== "").toBe(false);
        await engine.tiffinOk("rm", id);
      });

      test("--label and --label-file: the later wins, lines without a value, empty ones and comments are passed over", async () => {
        const file = join(engine.directory, `${program}.labels`);
        writeFileSync(file, "# of the file\na=1\n\nb=two words\nc\nd=4\n");
        const id = await ok(
          "create",
          "--label-file",
          file,
          "--label",
          "d=5",
          "--label",
          "e",
          "busybox",
          "true",
        );
        const labels = JSON.parse(await inspected(id, "{{json .Config.Labels}}")) as object;
        expect(labels).toEqual({ a: "1", b: "two words", d: "5", e: "" });
        expect(
          await engine.tiffinOk(
            "ps",
            "-aq",
            "--no-trunc",
            "--filter",
            "label=b=two words",
            "--filter",
            "label=e",
          ),
        ).toBe(id);
        await engine.tiffinOk("rm", id);
        const missing = await run("create", "--label-file", "/no/such/file", "busybox", "true");
        expect(missing.status).toBe(125);
        expect(missing.stderr).toContain("open /no/such/file: no such file or directory");
      });

      test.skipIf(!isCurrent)("--annotation: kept, and shown by inspect", async () => {
        const id = await ok(
          "create",
          "--annotation",
          "org.example.a=1",
          "--annotation",
          "b=x=y",
          "busybox",
          "true",
        );
        expect(JSON.parse(await inspected(id, "{{json .HostConfig.Annotations}}"))).toEqual({
          "org.example.a": "1",
          b: "x=y",
        });
        await engine.tiffinOk("rm", id);
      });

      test("--hostname and --domainname: what the program sees", async () => {
        const names = ["--hostname", "web", "--domainname", "example.org"];
        const read =
          "hostname; cat /proc/sys/kernel/domainname; grep -q web.example.org /etc/hosts && echo there";
        expect(await ok("run", "--rm", ...names, "busybox", "sh", "-c", read)).toMatch(
          /^web\nexample\.org\nthere$/,
        );
        const id = await ok("create", ...names, "busybox", "true");
        expect(await inspected(id, "{{.Config.Hostname}} {{.Config.Domainname}}")).toBe(
          "web example.org",
        );
        await engine.tiffinOk("rm", id);
      });

      test("--platform: the image's, else it is not found", async () => {
        for (const platform of [`linux/${OWN}`, OWN, "linux"]) {
          if (program === "docker" && platform === OWN) continue;
          expect(await ok("run", "--rm", "--platform", platform, "busybox", "echo", "ran")).toBe(
            "ran",
          );
        }
        const before = await engine.tiffinOk("ps", "-aq");
        const other = await run(
          "create",
          ...(isCurrent ? ["--pull", "never"] : []),
          "--platform",
          `linux/${OTHER}`,
          "busybox",
          "true",
        );
        expect(other.status).not.toBe(0);
        if (isCurrent) {
          expect(other.stderr).toContain(
            `does not provide the specified platform (linux/${OTHER})`,
          );
        }
        expect((await run("create", "--platform", "a/b/c/d", "busybox", "true")).status).not.toBe(
          0,
        );
        expect(await engine.tiffinOk("ps", "-aq")).toBe(before);
      });

      test("--pull: what is here is used when it is missing or never; a word that is none is refused", async () => {
        for (const when of ["missing", "never"]) {
          const quiet = isCurrent ? ["--quiet"] : [];
          expect(await ok("run", "--rm", "--pull", when, ...quiet, "busybox", "echo", "ran")).toBe(
            "ran",
          );
        }
        const never = await run("run", "--rm", "--pull", "never", "no-such-image-here", "true");
        expect(never.status).toBe(125);
        expect(never.stderr).toContain("No such image: no-such-image-here:latest");
        // An older client takes any word for "missing".
        if (!isCurrent) return;
        const wrong = await run("run", "--rm", "--pull", "sometimes", "busybox", "true");
        expect(wrong.status).toBe(125);
        expect(wrong.stderr).toContain("invalid pull option: 'sometimes'");
      });
    });
  }
});
