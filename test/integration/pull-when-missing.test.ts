/** Images that are not here are brought in by run and create; all tags of a repository; images for several platforms. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { isCurrentDocker } from "./docker-client.ts";
import { engineObstacle, openEngineFixture, type EngineFixture } from "./engine-fixture.ts";
import { openRegistry, type RegistryFixture, registryObstacle } from "./registry-fixture.ts";
import { busyboxLayer, putImage, putIndex } from "./registry-images.ts";

const obstacle = engineObstacle ?? registryObstacle;

describe.skipIf(obstacle !== undefined)("an image that is not here", () => {
  let engine: EngineFixture;
  let registry: RegistryFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    registry = await openRegistry();
    const layers = [busyboxLayer()];
    const echo = (text: string): string[] => ["/bin/busybox", "echo", text];
    for (const tag of ["latest", "1"]) {
      await putImage(registry.host, ["app", tag], { layers, command: echo(tag) });
    }
    await putIndex(
      registry.host,
      ["many", "latest"],
      [
        await putImage(registry.host, ["many"], {
          layers,
          command: echo("arm"),
          architecture: "arm64",
        }),
        await putImage(registry.host, ["many"], { layers, command: echo("amd") }),
      ],
    );
  }, 120_000);

  afterEach(async () => {
    await engine.removeContainers();
    for (const id of new Set((await engine.tiffinOk("images", "-aq")).split("\n"))) {
      if (id !== "") await engine.tiffinOk("rmi", "-f", id);
    }
  });

  afterAll(async () => {
    await registry?.close();
    await engine?.close();
  });

  for (const program of ["tiffin", "docker"] as const) {
    test(`${program} run pulls it, says so beside the output, and does so once`, async () => {
      const name = `${registry.host}/app`;
      const first = await engine[program](["run", "--rm", name]);
      expect(first).toMatchObject({ status: 0, stdout: "latest\n" });
      expect(first.stderr).toContain(`Unable to find image '${name}:latest' locally`);
      expect(first.stderr).toContain(`Status: Downloaded newer image for ${name}:latest`);
      const second = await engine[program](["run", "--rm", name]);
      expect(second).toMatchObject({ status: 0, stdout: "latest\n", stderr: "" });
    });

    const isQuiet = program === "tiffin" || isCurrentDocker("create -q");
    test.skipIf(!isQuiet)(`${program} create -q pulls it without a word but the ID`, async () => {
      const made = await engine[program](["create", "-q", `${registry.host}/app:1`]);
      expect(made).toMatchObject({ status: 0, stderr: "" });
      expect(made.stdout).toMatch(/^[0-9a-f]{64}\n$/);
    });

    test(`${program} run --pull never does not; always asks again`, async () => {
      const name = `${registry.host}/app:1`;
      const never = await engine[program](["run", "--rm", "--pull", "never", name]);
      expect(never.status).toBe(125);
      expect(never.stderr).toContain(`No such image: ${name}`);
      await engine.tiffinOk("pull", name);
      const always = await engine[program](["run", "--rm", "--pull", "always", name]);
      expect(always).toMatchObject({ status: 0, stdout: "1\n" });
      expect(always.stderr).toContain(`Status: Image is up to date for ${name}`);
      expect(always.stderr).not.toContain("Unable to find");
    });

    test(`${program} run of one that no registry has fails with the registry's words`, async () => {
      const ran = await engine[program](["run", "--rm", `${registry.host}/none`]);
      expect(ran).toMatchObject({ status: 125, stdout: "" });
      expect(ran.stderr).toContain("manifest unknown");
    });

    test(`${program} pull -a brings all tags`, async () => {
      const out = await engine[program](["pull", "-a", `${registry.host}/app`]);
      expect(out).toMatchObject({ status: 0 });
      expect(out.stdout).toContain(`Status: Downloaded newer image for ${registry.host}/app`);
      const tags = await engine.tiffinOk("images", "--format", "{{.Tag}}", `${registry.host}/app`);
      expect(tags.split("\n").sort()).toEqual(["1", "latest"]);
    });

    test(`${program} takes the image of the platform that was asked for`, async () => {
      const name = `${registry.host}/many`;
      expect((await engine[program](["run", "--rm", name])).stdout).toBe("amd\n");
      const arm = await engine[program](["create", "--platform", "linux/arm64", name]);
      expect(arm).toMatchObject({ status: 0 });
      const architecture = ["image", "inspect", "-f", "{{.Architecture}}", name];
      expect((await engine[program](architecture)).stdout).toBe("arm64\n");
      const none = await engine[program](["pull", "--platform", "linux/s390x", name]);
      expect(none.status).toBe(1);
      expect(none.stderr).toContain("no matching manifest for linux/s390x");
    });
  }

  test("images of one name for several platforms are here at once; each is run, shown, saved and pushed", async () => {
    const name = `${registry.host}/many`;
    const show = (...more: string[]): Promise<string> =>
      engine.tiffinOk("image", "inspect", "-f", "{{.Architecture}}", ...more, name);
    await engine.tiffinOk("pull", "-q", name);
    await engine.tiffinOk("pull", "-q", "--platform", "linux/arm64", name);
    expect(await show()).toBe("arm64");
    expect(await show("--platform", "linux/amd64")).toBe("amd64");
    expect(await show("--platform", "linux/arm64")).toBe("arm64");
    const none = await engine.tiffin(["image", "inspect", "--platform", "linux/s390x", name]);
    expect(none).toMatchObject({ status: 1 });
    expect(none.stderr).toContain("does not provide the specified platform (linux/s390x)");
    const listed = await engine.tiffinOk("images", "--format", "{{.Repository}}:{{.Tag}}", name);
    expect(listed.split("\n")).toEqual([`${name}:latest`, `${name}:latest`]);
    for (const program of ["tiffin", "docker"] as const) {
      const run = ["run", "--rm", "--pull", "never", "--platform", "linux/amd64", name];
      expect(await engine[program](run)).toMatchObject({ status: 0, stdout: "amd\n" });
    }
    const save = ["save", "--platform", "linux/amd64", name];
    const archive = await engine.tiffin(save);
    expect(archive).toMatchObject({ status: 0 });
    await engine.tiffinOk("tag", name, `${registry.host}/one:arm`);
    const amd = await show("--platform", "linux/amd64");
    expect(amd).toBe("amd64");
    const pulled = await engine.tiffinOk("pull", name);
    expect(pulled).toContain("Image is up to date");
    expect(await show()).toBe("amd64");
    // The name goes over to the other one, and then goes.
    expect(await engine.tiffinOk("rmi", name)).toContain(`Untagged: ${name}:latest`);
    expect(await show()).toBe("arm64");
    await engine.tiffinOk("rmi", `${registry.host}/one:arm`, name);
    expect(await engine.tiffinOk("images", "-aq")).toBe("");
    expect(await engine.leaks()).toEqual([]);
  });

  test("a dry run pulls nothing", async () => {
    const ran = await engine.tiffin(["run", "--dry-run", `${registry.host}/app`]);
    expect(ran.status).toBe(125);
    expect(await engine.tiffinOk("images", "-q")).toBe("");
  });
});
