/** inspect --as run|json and clone: a container made again from what is known of it is the same container but for its name. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { callOk } from "./engine-api.ts";
import { type EngineFixture, engineObstacle, openEngineFixture, TIFFIN } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: clone and inspect --as: ${engineObstacle}`);

setDefaultTimeout(60_000);

let engine: EngineFixture;

interface Inspected {
  readonly Id: string;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly State: { readonly Status: string };
  readonly Image: string;
  readonly Path: string;
  readonly Args: readonly string[];
}

const inspect = (name: string) => callOk<Inspected>(engine, "GET", `/containers/${name}/json`);

/** All that was asked for: what the engine gave (ID, name, host name) is left out. */
async function settings(name: string): Promise<object> {
  const { Id, Config, HostConfig, Image, Path, Args } = await inspect(name);
  const { Hostname: hostname, Entrypoint: _e, Cmd: _c, ...config } = Config;
  const own = hostname === Id.slice(0, 12) ? "" : hostname;
  return { config, hostname: own, HostConfig, Image, command: [Path, ...Args] };
}

/** Options of every kind, with words that a shell would take apart. */
function everything(): string[] {
  const options = [
    "-it -m 64m --memory-swap -1 --cpus 0.5 --cpu-shares 512 --pids-limit 9 --cpuset-cpus 0",
    "--memory-reservation 32m --oom-score-adj 100 --ulimit nofile=100:200 --shm-size 1m",
    "-h myhost --domainname example.org -u ann --group-add 7 -w /tmp --stop-signal USR1",
    "--stop-timeout 3 --restart on-failure:3 --init --read-only --time-offset 1h",
    "--cap-add net_admin --cap-drop mknod --security-opt no-new-privileges --ipc shareable",
    "--security-opt systempaths=unconfined --sysctl net.core.somaxconn=100 --network none",
    "--tmpfs /t:size=1m --tmpfs /u -v /tmp:/data:ro -v /anonymous --expose 80",
    "--mount type=tmpfs,target=/m,tmpfs-size=1048576 --device /dev/zero:/dev/nought:r",
    "--log-opt max-size=1m --health-interval 90s --health-retries 2 --on-unhealthy stop",
    "--device-cgroup-rule c~1:3~r --entrypoint sh",
  ];
  const words = options.flatMap((line) => line.split(" ")).map((word) => word.replaceAll("~", " "));
  return [
    ...words,
    "--env=PLAIN=1",
    `--env=QUOTED=it's "$x" \\ *`,
    "--env=LINES=a\nb",
    "--env=EMPTY=",
    "--label=text=two words",
    "--health-cmd=test -e '/a b'",
  ];
}
const COMMAND = ["busybox", "-c", `echo "hi  there" 'x'; sleep 5`];

describe.skipIf(engineObstacle !== undefined)("a container is made again", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterEach(async () => await engine.removeContainers());
  afterAll(async () => await engine.close());

  const asked: [string, () => string[]][] = [
    ["with nothing asked for", () => ["busybox", "true"]],
    ["with options of every kind", () => [...everything(), ...COMMAND]],
    [
      "that is privileged and has one stream",
      () => ["--privileged", "-a", "stdin", "busybox", "ls"],
    ],
  ];
  for (const [what, words] of asked) {
    test(`${what}: by its command line, its JSON and clone`, async () => {
      await engine.tiffinOk("create", "--name", "one", ...words());
      const line = await engine.tiffinOk("inspect", "--as", "run", "one");
      expect(line).toStartWith("tiffin run --name=one ");
      // Made and not started: `create` takes what `run` takes.
      const again = line.replace("tiffin run --name=one", `${TIFFIN} create --name=two`);
      const { status, stderr } = await engine.start("sh", ["-c", again]).ended;
      expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
      expect(await settings("two")).toEqual(await settings("one"));

      const body = await engine.tiffinOk("container", "inspect", "--as", "json", "one");
      await callOk(engine, "POST", "/containers/create?name=three", JSON.parse(body) as object);
      expect(await settings("three")).toEqual(await settings("one"));

      await engine.tiffinOk("clone", "--name", "four", "one");
      expect(await settings("four")).toEqual(await settings("one"));
      expect(await engine.tiffinOk("inspect", "--as", "run", "four")).toBe(
        line.replace("--name=one", "--name=four"),
      );
    });
  }

  test("by clone with options and a command over its own", async () => {
    const options = ["-d", "-m", "64m", "-e", "A=1", "-e", "B=2", "-v", "/tmp:/data", "--rm"];
    await engine.tiffinOk("run", "--name", "one", ...options, "busybox", "sleep", "1000");
    const own = [
      "-m",
      "96m",
      "-e",
      "A=9",
      "-v",
      "/var:/data:ro",
      "--rm=false",
      "--network",
      "none",
    ];
    const words = ["clone", "--start", "--name", "two", ...own, "one", "sleep", "2000"];
    const id = await engine.tiffinOk(...words);
    const { Id, Config, HostConfig, State, Path, Args } = await inspect("two");
    expect([Id, State.Status]).toEqual([id, "running"]);
    expect([Path, ...Args]).toEqual(["sleep", "2000"]);
    expect(Config["Env"]).toEqual(expect.arrayContaining(["A=9", "B=2"]));
    expect(HostConfig).toMatchObject({
      Memory: 96 << 20,
      Binds: ["/var:/data:ro"],
      AutoRemove: false,
      NetworkMode: "none",
    });
    // The first one is as it was.
    expect((await inspect("one")).HostConfig).toMatchObject({ Memory: 64 << 20 });
  });

  test("by clone also when its image has lost its name", async () => {
    await engine.importBusybox("gone");
    await engine.tiffinOk("create", "--name", "one", "gone", "true");
    await engine.tiffinOk("tag", "gone", "kept");
    await engine.tiffinOk("rmi", "gone");
    await engine.tiffinOk("clone", "--name", "two", "one");
    expect((await inspect("two")).Image).toBe((await inspect("one")).Image);
    await engine.tiffinOk("rm", "one", "two");
    await engine.tiffinOk("rmi", "kept");
  });

  test("not when it is not there, or is asked for in another form", async () => {
    const refused: [string[], RegExp][] = [
      [["clone", "nope"], /No such container: nope/],
      [["inspect", "--as", "run", "nope"], /No such container: nope/],
      [["inspect", "--as", "compose", "nope"], /--as takes "run" or "json"/],
      [["inspect", "--as", "run", "-f", "{{.Id}}", "x"], /cannot specify both --as and --format/],
      [["inspect", "--as", "run", "--type", "image", "busybox"], /for containers alone/],
    ];
    for (const [args, words] of refused) {
      const { status, stderr } = await engine.tiffin(args);
      expect({ args, status }).toEqual({ args, status: 1 });
      expect(stderr).toMatch(words);
    }
  });
});
