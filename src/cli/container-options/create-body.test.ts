import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "../grammar.ts";
import { CONTAINER_FLAGS, createBody } from "./create-body.ts";

function body(...words: string[]) {
  const parsed = parse([...words, "image"], CONTAINER_FLAGS, { interspersed: false });
  if (parsed.kind === "help") throw new Error("help");
  return createBody(parsed.arguments);
}

function host(...words: string[]): Readonly<Record<string, unknown>> {
  return body(...words).HostConfig;
}

/** All compared with what docker 28.2.2 sends. */
describe("the body of create", () => {
  test("streams and terminal", () => {
    expect(body()).toMatchObject({
      AttachStdin: false,
      AttachStdout: true,
      OpenStdin: false,
      Tty: false,
    });
    expect(body("-it")).toMatchObject({
      AttachStdin: true,
      OpenStdin: true,
      StdinOnce: true,
      Tty: true,
    });
    expect(body("-a", "STDIN")).toMatchObject({
      AttachStdin: true,
      AttachStdout: false,
      AttachStderr: false,
    });
  });

  test("the command, and an entry point that is emptied", () => {
    expect(body()["Entrypoint"]).toBeNull();
    expect(body("--entrypoint", "")["Entrypoint"]).toEqual([""]);
    const parsed = parse(["image", "ls", "-l"], CONTAINER_FLAGS, { interspersed: false });
    if (parsed.kind === "arguments")
      expect(createBody(parsed.arguments)["Cmd"]).toEqual(["ls", "-l"]);
  });

  test("our own words about life and health go as annotations", () => {
    const given = body("--health-http", ":80/up", "--health-interval", "5s", "--timeout", "1m30s");
    expect(given).toMatchObject({
      Healthcheck: { Interval: 5e9 },
      HostConfig: {
        Annotations: { "dev.tiffin.health-http": ":80/up", "dev.tiffin.timeout": "90" },
      },
    });
    expect(host("--health-tcp", "80", "--on-unhealthy", "stop")["Annotations"]).toEqual({
      "dev.tiffin.health-tcp": "80",
      "dev.tiffin.on-unhealthy": "stop",
    });
    expect(() => body("--health-tcp", "80", "--health-cmd", "x")).toThrow("only one of");
    expect(() => body("--health-tcp", "80", "--no-healthcheck")).toThrow("--no-healthcheck conf");
    expect(() => body("--timeout", "-1s")).toThrow("cannot be negative");
  });

  test("limits", () => {
    expect(
      host(
        "-m",
        "64m",
        "--memory-swap",
        "-1",
        "--cpus",
        "0.5",
        "--pids-limit",
        "32",
        "--cpuset-cpus",
        "0-1",
      ),
    ).toMatchObject({
      Memory: 67108864,
      MemorySwap: -1,
      NanoCpus: 500000000,
      PidsLimit: 32,
      CpusetCpus: "0-1",
      MemorySwappiness: -1,
    });
    expect(
      host("--ulimit", "nofile=5:6", "--ulimit", "core=-1", "--ulimit", "nofile=1024:2048")[
        "Ulimits"
      ],
    ).toEqual([
      { Name: "core", Hard: -1, Soft: -1 },
      { Name: "nofile", Hard: 2048, Soft: 1024 },
    ]);
    expect(host("--device", "/dev/null:r", "--device", "/dev/null:/dev/y:rw")["Devices"]).toEqual([
      { PathOnHost: "/dev/null", PathInContainer: "/dev/null", CgroupPermissions: "r" },
      { PathOnHost: "/dev/null", PathInContainer: "/dev/y", CgroupPermissions: "rw" },
    ]);
  });

  test("volumes, mounts and tmpfs", () => {
    const given = body(
      "-v",
      "/a:/b:ro",
      "-v",
      "vol:/z",
      "-v",
      "/anonymous",
      "-v",
      "/s:/d:me",
      "--tmpfs",
      "/t:size=64m",
    );
    expect(given.HostConfig["Binds"]).toEqual(["/a:/b:ro", "vol:/z", "/s:/d:me"]);
    expect(given["Volumes"]).toEqual({ "/anonymous": {} });
    expect(given.HostConfig["Tmpfs"]).toEqual({ "/t": "size=64m" });
    expect(host("-v", "./x:/y")["Binds"]).toEqual([`${process.cwd()}/x:/y`]);
    expect(
      host("--mount", 'type=volume,src=v,dst=/v,readonly,"volume-opt=o=a,b"')["Mounts"],
    ).toEqual([
      {
        Type: "volume",
        Source: "v",
        Target: "/v",
        ReadOnly: true,
        VolumeOptions: { DriverConfig: { Options: { o: "a,b" } } },
      },
    ]);
    expect(host("--mount", "type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=1770")["Mounts"]).toEqual([
      { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 67108864, Mode: 0o1770 } },
    ]);
  });

  test("ports", () => {
    const given = body(
      "-p",
      "127.0.0.1:8080:80/udp",
      "-p",
      "9000-9001:9000-9001",
      "-p",
      "53",
      "--expose",
      "99",
      "-p",
      "[::1]:1:2",
      "-p",
      "8000-8010:80",
    );
    expect(given.HostConfig["PortBindings"]).toEqual({
      "80/udp": [{ HostIp: "127.0.0.1", HostPort: "8080" }],
      "9000/tcp": [{ HostIp: "", HostPort: "9000" }],
      "9001/tcp": [{ HostIp: "", HostPort: "9001" }],
      "53/tcp": [{ HostIp: "", HostPort: "" }],
      "2/tcp": [{ HostIp: "::1", HostPort: "1" }],
      "80/tcp": [{ HostIp: "", HostPort: "8000-8010" }],
    });
    expect(given["ExposedPorts"]).toHaveProperty("99/tcp");
  });

  test("networks", () => {
    expect(host()["NetworkMode"]).toBe("default");
    const given = body("--network", "name=foo,alias=x,ip=1.2.3.4");
    expect(given.HostConfig["NetworkMode"]).toBe("foo");
    expect(() => body("--network", "foo", "--network", "host")).toThrow(
      "cannot attach both user-defined",
    );
    expect(host("--net", "none")["NetworkMode"]).toBe("none");
  });

  test("ours: a time offset in seconds", () => {
    expect(host("--time-offset", "-90m")["Annotations"]).toEqual({
      "dev.tiffin.time-offset": "-5400",
    });
    expect(host("--annotation", "a=b")["Annotations"]).toEqual({ a: "b" });
  });

  test("environment, labels and a seccomp profile come from files too", () => {
    const directory = mkdtempSync(join(tmpdir(), "tiffin-options-"));
    try {
      const file = join(directory, "env");
      writeFileSync(file, "# comment\nA=1\n  B=2 3\nTIFFIN_NOT_SET\nHOME\n");
      expect(body("--env-file", file, "-e", "C=4")["Env"]).toEqual([
        "A=1",
        "B=2 3",
        `HOME=${process.env["HOME"]}`,
        "C=4",
      ]);
      writeFileSync(file, "a=b\n");
      expect(body("--label-file", file, "-l", "c")["Labels"]).toEqual({ a: "b", c: "" });
      writeFileSync(file, '{ "defaultAction" : "SCMP_ACT_ALLOW" }');
      expect(host("--security-opt", `seccomp=${file}`)["SecurityOpt"]).toEqual([
        'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}',
      ]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

/** docker's words, byte for byte. */
const MISTAKES: readonly (readonly [words: string[], message: string])[] = [
  [["--memory", "foo"], 'invalid argument "foo" for "-m, --memory" flag: invalid size: \'foo\''],
  [["--cpus", "0.0000000001"], 'for "--cpus" flag: value is too precise'],
  [["--cpus", "abc"], "failed to parse abc as a rational number"],
  [["--ulimit", "nofile=5:3"], "ulimit soft limit must be less than or equal to hard limit: 5 > 3"],
  [["--ulimit", "nofile=-1:5"], "soft: -1 (unlimited), hard: 5"],
  [["--ulimit", "foo=1"], "invalid ulimit type: foo"],
  [["--mount", "type=bind,src=/x"], "target is required"],
  [["--mount", "foo"], "invalid field 'foo' must be a key=value pair"],
  [["--mount", "type=bind,src=/a,dst=/b,foo=bar"], "unexpected key 'foo' in 'foo=bar'"],
  [
    ["--mount", "type=tmpfs,dst=/x,bind-propagation=x"],
    "cannot mix 'bind-*' options with mount type 'tmpfs'",
  ],
  [["--mount", 'type=b"ind'], 'bare " in non-quoted-field'],
  [["-v", ":::"], "empty section between colons"],
  [["-v", "/a:/b:c:d"], "invalid spec: /a:/b:c:d: too many colons"],
  [["--sysctl", "foo=bar"], "sysctl 'foo=bar' is not allowed"],
  [["--label", "=x"], "invalid label '=x': empty name"],
  [["-e", "=x"], "invalid environment variable: =x"],
  [["--device", "x"], "x is not an absolute path"],
  [["--device", "/dev/null:/x:q"], "bad mode specified: q"],
  [["--pid", "foo"], "--pid: invalid PID mode"],
  [["--security-opt", "foo"], 'invalid --security-opt: "foo"'],
  [
    ["--security-opt", "seccomp=/nope"],
    "opening seccomp profile (/nope) failed: open /nope: no such file or directory",
  ],
  [["--rm", "--restart", "always"], "conflicting options: cannot specify both --restart and --rm"],
  [["--publish", "x"], "invalid containerPort: x"],
  [
    ["--expose", "x"],
    'invalid range format for --expose: x, error: strconv.ParseUint: parsing "x": invalid syntax',
  ],
  [["--log-driver", "none", "--log-opt", "a=b"], "invalid logging opts for driver none"],
  [["--no-healthcheck", "--health-cmd", "x"], "--no-healthcheck conflicts with --health-* options"],
  [["--health-interval", "x"], 'time: invalid duration "x"'],
  [["--add-host", "foo"], 'bad format for add-host: "foo"'],
  [["--device-read-bps", "/dev/sda:x"], "The correct format is <device-path>:<number>[<unit>]"],
  [["--memory-swappiness", "200"], "invalid value: 200. Valid memory swappiness range is 0-100"],
  [["--network", "a=b"], "invalid field key a"],
  [["--env-file", "/nope"], "open /nope: no such file or directory"],
];

test("mistakes in values are told in docker's words", () => {
  for (const [words, message] of MISTAKES) expect(() => body(...words)).toThrow(message);
});
