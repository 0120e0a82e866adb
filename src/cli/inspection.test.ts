import { expect, test } from "bun:test";
import { Template } from "./go-template/template.ts";
import { indentJson } from "./inspection.ts";
import { inspectedStruct } from "./inspected-struct.ts";

test("JSON is indented with numbers and escapes as they were", () => {
  expect(indentJson('[{"a":1.50,"b":[],"c":{},"d":["x:{,}\\"",12345678901234567890]}]')).toBe(
    '[\n    {\n        "a": 1.50,\n        "b": [],\n        "c": {},\n        "d": [\n            "x:{,}\\"",\n            12345678901234567890\n        ]\n    }\n]',
  );
});

const CONTAINER = {
  Id: "8b",
  State: { Status: "running", Pid: 5 },
  Config: { Labels: { a: "1" }, Cmd: ["sh"], Entrypoint: null, Volumes: null },
  HostConfig: { Memory: 0, LogConfig: { Type: "cri", Config: {} } },
  Mounts: [
    {
      Type: "bind",
      Source: "/tmp",
      Destination: "/mnt",
      Mode: "",
      RW: true,
      Propagation: "rslave",
    },
  ],
  NetworkSettings: { Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "80" }] } },
};

function run(source: string): string {
  return new Template(source).run(inspectedStruct(CONTAINER));
}

test("templates see docker's types: what the API leaves out has its zero value", () => {
  expect(run("{{if .State.Health}}x{{end}}{{.State.Health}} {{.Config.StopTimeout}}")).toBe(
    "<nil> <nil>",
  );
  expect(run('{{.Config.Labels.zz}}|{{index .Config.Labels "zz"}}|{{.HostConfig.Tmpfs}}')).toBe(
    "<no value>||map[]",
  );
  expect(run("{{.Mounts}}")).toBe("[{bind  /tmp /mnt   true rslave}]");
  expect(run("{{.NetworkSettings.Ports}}")).toBe("map[80/tcp:[{0.0.0.0 80}]]");
  expect(run("{{json .State}}")).toBe('{"Status":"running","Pid":5}');
  expect(
    run(
      "{{.Config.Entrypoint}} {{json .Config.Entrypoint}} {{json .Config.Volumes}} {{len .Config.Volumes}}",
    ),
  ).toBe("[] null null 0");
  expect(() => run("{{.Nope}}")).toThrow("can't evaluate field Nope");
});
