import { describe, expect, test } from "bun:test";
import { isTiffinError, type TiffinError } from "../base/error.ts";
import type { ContainerSpec } from "../engine/types.ts";
import { readContainerSpec } from "./container-config.ts";
// Bodies as docker's command line 28.2.2 sends them.
import bodies from "./fixture/create-bodies.json" with { type: "json" };
import { JsonObject } from "./json-object.ts";

function read(body: object): ContainerSpec {
  return readContainerSpec(new JsonObject(body));
}

function readHost(hostConfig: object, config: object = {}): ContainerSpec {
  return read({ Image: "box", ...config, HostConfig: hostConfig });
}

function refusal(body: object): TiffinError {
  try {
    read(body);
  } catch (error) {
    if (isTiffinError(error)) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("a create body of docker's command line", () => {
  test("without options asks for nothing but the image and its command", () => {
    expect(read(bodies.plain)).toEqual({
      image: "bb:1",
      entrypoint: null,
      command: ["true"],
      environment: [],
      workingDirectory: "",
      user: "",
      groupAdd: [],
      hostname: "",
      domainname: "",
      tty: false,
      terminalSize: { rows: 0, columns: 0 },
      openStdin: false,
      stdinOnce: false,
      attachStdin: false,
      attachStdout: true,
      attachStderr: true,
      labels: {},
      stopSignal: "",
      stopTimeoutSeconds: null,
      exposedPorts: [],
      volumes: [],
      autoRemove: false,
      init: false,
      readOnlyRootfs: false,
      privileged: false,
      capAdd: [],
      capDrop: [],
      securityOptions: [],
      mounts: [],
      volumesFrom: [],
      volumeDriver: "",
      mountPoints: [],
      devices: [],
      pidMode: "",
      ipcMode: "",
      utsMode: "",
      usernsMode: "",
      cgroupnsMode: "",
      networkMode: "default",
      networks: null,
      portBindings: {},
      publishAll: false,
      resolver: { servers: [], search: [], options: [] },
      extraHosts: [],
      links: [],
      networkRate: null,
      ulimits: [],
      sysctls: {},
      shmBytes: 0,
      timeOffsetSeconds: 0,
      resources: { oomKillDisable: false },
      cgroupParent: "",
      deviceCgroupRules: [],
      oomScoreAdjust: 0,
      logDriver: "",
      logOptions: {},
      restartPolicy: { name: "no", maximumRetryCount: 0 },
      healthcheck: null,
      onUnhealthy: "",
      longestRunMs: 0,
      annotations: {},
      runtime: "",
    });
  });

  test("with limits, a bind and a tmpfs keeps each", () => {
    const spec = read(bodies.short);
    expect(spec.networkMode).toBe("none");
    expect(spec.labels).toEqual({ a: "b" });
    expect(spec.resources).toEqual({
      memoryBytes: 67108864,
      nanoCpus: 500000000,
      oomKillDisable: false,
    });
    expect(
      spec.mounts.map(({ asked, target, readOnly, options }) => [asked, target, readOnly, options]),
    ).toEqual([
      ["volume-flag", "/mnt", true, []],
      ["tmpfs-flag", "/run", false, ["size=1m"]],
    ]);
  });

  test("with many options keeps each", () => {
    const spec = read(bodies.long);
    expect(spec).toMatchObject({
      entrypoint: ["/bin/sh"],
      command: ["-c", 'echo "a b"'],
      environment: ["A=b"],
      hostname: "h.example.com",
      workingDirectory: "/w",
      stopSignal: "INT",
      stopTimeoutSeconds: 3,
      exposedPorts: ["80/tcp"],
      tty: true,
      openStdin: true,
      stdinOnce: true,
      init: true,
      readOnlyRootfs: true,
      capAdd: ["CAP_NET_ADMIN"],
      capDrop: ["ALL"],
      securityOptions: ["no-new-privileges"],
      groupAdd: ["5"],
      devices: [{ hostPath: "/dev/null", containerPath: "/dev/x", access: "rw" }],
      ulimits: [{ name: "nofile", soft: 10, hard: 20 }],
      sysctls: { "net.core.somaxconn": "5" },
      resources: { cpuShares: 5, pidsLimit: 4 },
    });
    expect(spec.mounts).toEqual([
      {
        asked: "volume-flag",
        type: "bind",
        source: "/tmp",
        target: "/c",
        readOnly: false,
        propagation: "rslave",
        createSource: true,
        asOwner: false,
        options: [],
        words: "rslave",
      },
      {
        asked: "mount-flag",
        type: "bind",
        source: "/tmp",
        target: "/a",
        readOnly: true,
        propagation: "",
        createSource: false,
        asOwner: false,
        options: [],
      },
      {
        asked: "mount-flag",
        type: "tmpfs",
        source: "",
        target: "/b",
        readOnly: false,
        propagation: "",
        createSource: false,
        asOwner: false,
        options: ["size=1048576", "mode=1770"],
      },
    ]);
  });

  test("that publishes a port says where", () => {
    expect(read(bodies.publish).portBindings).toEqual({
      "80/tcp": [{ hostIp: "", hostPort: "8080" }],
    });
  });
});

describe("a create body", () => {
  test("tells an absent entrypoint from an empty one", () => {
    expect(read({ Image: "box" })).toMatchObject({ entrypoint: null, command: null });
    expect(read({ Image: "box", Entrypoint: [], Cmd: [] })).toMatchObject({
      entrypoint: [],
      command: [],
    });
    expect(read({ Image: "box", Entrypoint: [""] }).entrypoint).toEqual([""]);
  });

  test("may hold a command as one string", () => {
    expect(read({ Image: "box", Cmd: "true" }).command).toEqual(["true"]);
  });

  test("is read without regard to the case of names", () => {
    expect(read({ image: "box", hostconfig: { privileged: true } }).privileged).toBe(true);
  });

  test("may set the time namespace by annotation", () => {
    const spec = readHost({ Annotations: { "dev.tiffin.time-offset": "-3600.5", other: "x" } });
    expect(spec.timeOffsetSeconds).toBe(-3600.5);
    expect(spec.annotations).toEqual({ other: "x" });
  });

  test("turns docker's two empty lists into systempaths=unconfined", () => {
    expect(readHost({ MaskedPaths: [], ReadonlyPaths: [] }).securityOptions).toEqual([
      "systempaths=unconfined",
    ]);
  });

  test("normalizes capabilities as docker keeps them", () => {
    expect(readHost({ CapAdd: ["net_admin", "CAP_SYS_TIME", "all"] }).capAdd).toEqual([
      "CAP_NET_ADMIN",
      "CAP_SYS_TIME",
      "ALL",
    ]);
  });

  test("may switch the image's health check off", () => {
    expect(() => read({ Image: "box", Healthcheck: { Test: ["NONE"] } })).not.toThrow();
  });
});

describe("what docker refuses is refused in its words", () => {
  const cases: [what: string, body: object, message: string][] = [
    ["no image", {}, "Config cannot be empty in order to create a container"],
    [
      "a relative working directory",
      { Image: "box", WorkingDir: "x" },
      "the working directory 'x' is invalid, it needs to be an absolute path",
    ],
    [
      "a variable without a name",
      { Image: "box", Env: ["=x"] },
      "invalid environment variable: =x",
    ],
    ["an unknown signal", { Image: "box", StopSignal: "FOO" }, "Invalid signal: FOO"],
    [
      "a negative shm",
      { Image: "box", HostConfig: { ShmSize: -4 } },
      "SHM size can not be less than 0",
    ],
    [
      "--rm with a restart policy",
      { Image: "box", HostConfig: { AutoRemove: true, RestartPolicy: { Name: "always" } } },
      "can't create 'AutoRemove' container with restart policy",
    ],
    [
      "a bind with too many parts",
      { Image: "box", HostConfig: { Binds: ["/x:/y:ro:w"] } },
      "invalid volume specification: '/x:/y:ro:w'",
    ],
    [
      "a relative target",
      { Image: "box", HostConfig: { Binds: ["/x:y"] } },
      "invalid volume specification: '/x:y': invalid mount config for type \"bind\": invalid mount path: 'y' mount path must be absolute",
    ],
    [
      "an unknown mode",
      { Image: "box", HostConfig: { Binds: ["/x:/y:foo"] } },
      "invalid mode: foo",
    ],
    [
      "two modes of one kind",
      { Image: "box", HostConfig: { Binds: ["/x:/y:ro,rw"] } },
      "invalid mode: ro,rw",
    ],
    [
      "one target twice",
      { Image: "box", HostConfig: { Binds: ["/x:/y"], Tmpfs: { "/y": "" } } },
      "Duplicate mount point: /y",
    ],
    [
      "a mount of an unknown type",
      { Image: "box", HostConfig: { Mounts: [{ Type: "foo", Target: "/x" }] } },
      'invalid mount config for type "foo": mount type unknown',
    ],
    [
      "a bind mount without a source",
      { Image: "box", HostConfig: { Mounts: [{ Type: "bind", Target: "/x" }] } },
      'invalid mount config for type "bind": field Source must not be empty',
    ],
    [
      "a field of the wrong type",
      { Image: "box", HostConfig: { Memory: "1g" } },
      "invalid JSON: HostConfig.Memory must be a whole number",
    ],
  ];
  for (const [what, body, message] of cases) {
    test(what, () => {
      const error = refusal(body);
      expect(error.message).toBe(message);
      expect(error.code).toBe("invalid-argument");
    });
  }
});

test("a device request is refused in docker's words", () => {
  const gpu = { Count: -1, Capabilities: [["gpu"]] };
  expect(refusal({ Image: "bb:1", HostConfig: { DeviceRequests: [gpu] } }).message).toBe(
    'could not select device driver "" with capabilities: [[gpu]]',
  );
});

describe("what the engine has no part for is refused, not ignored", () => {
  const cases: [option: string, config: object, hostConfig: object][] = [
    ["StorageOpt", {}, { StorageOpt: { size: "1G" } }],
    ["MaskedPaths", {}, { MaskedPaths: ["/proc/kcore"], ReadonlyPaths: [] }],
  ];
  for (const [option, config, hostConfig] of cases) {
    test(option, () => {
      const error = refusal({ Image: "box", ...config, HostConfig: hostConfig });
      expect(error.code).toBe("not-implemented");
      expect(error.message).toContain(option);
      expect(error.hint).toBeString();
    });
  }
});

describe("networks", () => {
  const networks = (mode: string, config: object, more = {}) =>
    read({
      Image: "box",
      ...more,
      HostConfig: { NetworkMode: mode },
      NetworkingConfig: { EndpointsConfig: config },
    }).networks;

  test("are none beyond the mode when nothing is said of them", () => {
    expect(networks("default", {})).toBeNull();
    expect(networks("host", { host: {} })).toBeNull();
  });

  test("begin with that of the mode, with what is asked for there", () => {
    const both = networks("front", {
      back: { GwPriority: 7 },
      front: { Aliases: ["web"], IPAMConfig: { IPv4Address: "10.1.1.9" } },
    });
    expect(both).toMatchObject([
      { network: "front", aliases: ["web"], ipv4: "10.1.1.9" },
      { network: "back", gatewayPriority: 7 },
    ]);
  });

  test("take the MAC address of older clients for the first", () => {
    const mac = "02:00:00:00:00:01";
    expect(networks("default", {}, { MacAddress: mac })).toMatchObject([{ mac }]);
  });

  test("of one's own do not stand beside the host's", () => {
    const create = (): unknown => networks("host", { front: {} });
    expect(create).toThrow(/conflicting options/);
  });
});

describe("volumes", () => {
  const mountOf = (hostConfig: object) => readHost(hostConfig).mounts[0];

  test("have a name in place of a path", () => {
    expect(mountOf({ Binds: ["data:/x/:ro,nocopy"] })).toMatchObject({
      asked: "volume-flag",
      type: "volume",
      source: "data",
      target: "/x",
      readOnly: true,
      options: ["nocopy"],
      words: "ro,nocopy",
    });
  });

  test("of a mount keep what they are made with and what of them is mounted", () => {
    const options = {
      NoCopy: true,
      Subpath: "a/../b",
      Labels: { a: "b" },
      DriverConfig: { Name: "local", Options: { type: "tmpfs", device: "tmpfs" } },
    };
    const mount = { Type: "volume", Source: "data", Target: "/x", VolumeOptions: options };
    expect(mountOf({ Mounts: [mount] })).toEqual({
      asked: "mount-flag",
      type: "volume",
      source: "data",
      target: "/x",
      readOnly: false,
      propagation: "",
      createSource: false,
      asOwner: false,
      options: ["nocopy"],
      volume: {
        driver: "local",
        options: { type: "tmpfs", device: "tmpfs" },
        labels: { a: "b" },
        subpath: "a/../b",
      },
    });
  });

  const refused: readonly (readonly [name: string, hostConfig: object, message: string])[] = [
    ["a name of one letter", { Binds: ["d:/x"] }, "volume name is too short"],
    ["a name with a slash", { Binds: ["a/b:/x"] }, "includes invalid characters"],
    ["a name that leads upwards", { Binds: ["..:/x"] }, "includes invalid characters"],
    ["a propagation", { Binds: ["data:/x:rshared"] }, "field BindOptions must not be specified"],
    ["an owner", { Binds: ["data:/x:me"] }, '"me" is about the owner of a host directory'],
    [
      "nocopy of a host directory",
      { Binds: ["/data:/x:nocopy"] },
      "field VolumeOptions must not be specified",
    ],
    [
      "a subpath that leads out",
      {
        Mounts: [
          { Type: "volume", Source: "data", Target: "/x", VolumeOptions: { Subpath: "a/../../b" } },
        ],
      },
      "subpath must be a relative path within the volume",
    ],
    [
      "a subpath of an anonymous volume",
      { Mounts: [{ Type: "volume", Target: "/x", VolumeOptions: { Subpath: "a" } }] },
      "must not set Subpath when using anonymous volumes",
    ],
    ["copying from another container's", { VolumesFrom: ["a:nocopy"] }, "invalid mode: nocopy"],
    ["propagating another container's", { VolumesFrom: ["a:rslave"] }, "invalid mode: rslave"],
    [
      "writable submounts of a writable bind",
      {
        Mounts: [
          { Type: "bind", Source: "/a", Target: "/x", BindOptions: { ReadOnlyNonRecursive: true } },
        ],
      },
      "mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive",
    ],
  ];
  for (const [name, hostConfig, message] of refused) {
    test(`with ${name} are refused in docker's words`, () => {
      const error = refusal({ Image: "box", HostConfig: hostConfig });
      expect(error.code).toBe("invalid-argument");
      expect(error.message).toContain(message);
    });
  }
});

describe("binds", () => {
  test("of one path are anonymous volumes", () => {
    const spec = readHost({ Binds: ["/data"] }, { Volumes: { "/more/": {} } });
    expect(spec.volumes).toEqual(["/more", "/data"]);
    expect(spec.mounts).toEqual([]);
  });

  test("may map the owner to the container's user", () => {
    const [mount] = readHost({ Binds: ["/src:/dst:me,ro,z"] }).mounts;
    expect(mount).toMatchObject({ asOwner: true, readOnly: true, options: ["z"] });
  });

  test("take an anonymous volume's place at the same path", () => {
    expect(readHost({ Binds: ["/src:/dst"] }, { Volumes: { "/dst": {} } }).volumes).toEqual([]);
  });
});

test("names of the world, in the forms that clients send", () => {
  const spec = read({
    Image: "box",
    NetworkingConfig: { EndpointsConfig: { front: { Links: ["a"] } } },
    HostConfig: {
      NetworkMode: "front",
      Dns: ["192.0.2.1"],
      ExtraHosts: ["a:192.0.2.2", "b=[fd00::1]", "c:host-gateway"],
      Links: ["/a:/b/c"],
    },
  });
  expect(spec.resolver.servers).toEqual(["192.0.2.1"]);
  expect(spec.extraHosts).toEqual(["a:192.0.2.2", "b:fd00::1", "c:host-gateway"]);
  expect(spec.links).toEqual(["a:c"]);
  expect(spec.networks?.[0]?.links).toEqual(["a:a"]);
  const bad = { Dns: ["nobody"] };
  expect(refusal({ Image: "box", HostConfig: bad }).message).toBe("bad nameserver address: nobody");
  const lines = { ExtraHosts: ["a b:192.0.2.2"] };
  expect(refusal({ Image: "box", HostConfig: lines }).message).toContain("bad format for add-host");
});
