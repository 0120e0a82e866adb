/** What docker's client sees where things end or fail at an awkward place: statuses, streams, and the engine's own log. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skipped: docker at the edges: ${obstacle}`);

let engine: EngineFixture;

setDefaultTimeout(60_000);

describe.skipIf(obstacle !== undefined)("docker", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterAll(async () => await engine.close());

  test("a working directory that is a file, and a host name that is too long, are the user's fault", async () => {
    const file = await engine.docker(["run", "--rm", "-w", "/etc/passwd", "busybox", "true"]);
    expect(file.status).toBe(125);
    expect(file.stderr).toContain("cannot enter the working directory /etc/passwd");
    const name = "x".repeat(65);
    const long = await engine.docker(["run", "--rm", "-h", name, "busybox", "true"]);
    expect(long.status).toBe(125);
    expect(long.stderr).toContain("it is longer than 64 bytes");
    expect(await engine.dockerOk("run", "--rm", "-h", name.slice(1), "busybox", "hostname")).toBe(
      name.slice(1),
    );
    await engine.dockerOk("create", "--name", "long", "-h", name, "busybox", "true");
    expect((await engine.docker(["start", "long"])).status).toBe(1);
    const format = "{{.State.Status}} {{.State.ExitCode}}";
    expect(await engine.dockerOk("inspect", "-f", format, "long")).toBe("created 128");
    await engine.dockerOk("rm", "long");
    expect(engine.engineLog()).not.toContain("unexpected");
  });

  test("an exec whose user or directory is not there says so on the stream, with docker's status", async () => {
    await engine.dockerOk("run", "-d", "--name", "box", "busybox", "sleep", "1000");
    const nobody = await engine.docker(["exec", "-u", "nobody-here", "box", "true"]);
    expect(nobody).toMatchObject({ status: 126, stderr: "" });
    expect(nobody.stdout).toContain("Unable to find user nobody-here");
    const nowhere = await engine.docker(["exec", "-w", "/nowhere", "box", "true"]);
    expect(nowhere.status).toBe(126);
    expect(nowhere.stdout).toContain("/nowhere");
    await engine.dockerOk("rm", "-f", "box");
    expect(engine.engineLog()).not.toContain("unexpected");
  });

  test("an exec that ends with its --rm container has a status all the same", async () => {
    for (let round = 0; round < 5; round++) {
      await engine.dockerOk("run", "-d", "--rm", "--name", "box", "busybox", "sleep", "1000");
      const exec = engine.startClient("docker", ["exec", "box", "sh", "-c", "echo up; sleep 1000"]);
      await exec.seen(/up/);
      await engine.dockerOk("kill", "box");
      const { status, stderr } = await exec.ended;
      expect({ status, stderr }).toEqual({ status: 137, stderr: "" });
    }
  });

  test("after a kill the container is seen ended at once", async () => {
    for (let round = 0; round < 5; round++) {
      await engine.dockerOk("run", "-d", "--name", "box", "busybox", "sleep", "1000");
      const script = "docker kill box >/dev/null && docker inspect -f '{{.State.Status}}' box";
      expect((await engine.start("sh", ["-c", script]).ended).stdout).toBe("exited\n");
      await engine.dockerOk("rm", "box");
    }
  });

  test("inspect shows the hidden paths and the cgroup namespace as they are", async () => {
    const shown = async (...options: string[]) => {
      await engine.dockerOk("create", "--name", "box", ...options, "busybox", "true");
      const format = "{{json .HostConfig}}";
      const config = JSON.parse(await engine.dockerOk("inspect", "-f", format, "box")) as {
        MaskedPaths: string[] | null;
        ReadonlyPaths: string[] | null;
        CgroupnsMode: string;
      };
      await engine.dockerOk("rm", "box");
      return config;
    };
    const usual = await shown();
    expect(usual.MaskedPaths).toContain("/proc/kcore");
    expect(usual.ReadonlyPaths).toContain("/proc/sys");
    expect(usual.CgroupnsMode).toBe("private");
    expect(await shown("--privileged")).toMatchObject({ MaskedPaths: null, ReadonlyPaths: null });
    expect(await shown("--security-opt", "systempaths=unconfined")).toMatchObject({
      MaskedPaths: [],
      ReadonlyPaths: [],
    });
    expect(await shown("--cgroupns", "host")).toMatchObject({ CgroupnsMode: "host" });
  });
});
