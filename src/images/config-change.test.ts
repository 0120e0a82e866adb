import { expect, test } from "bun:test";
import { changeConfig, type ContainerConfig } from "./config-change.ts";

function changed(...instructions: string[]): ContainerConfig {
  let config: ContainerConfig = {};
  for (const instruction of instructions) config = changeConfig(config, instruction);
  return config;
}

test("CMD and ENTRYPOINT take the JSON form and the shell form", () => {
  expect(changed('CMD ["a", "b c"]', "entrypoint echo $HOME")).toEqual({
    Cmd: ["a", "b c"],
    Entrypoint: ["/bin/sh", "-c", "echo $HOME"],
  });
  expect(changed("CMD [not json")).toEqual({ Cmd: ["/bin/sh", "-c", "[not json"] });
});

test("ENV takes pairs, the old form, quotes and variables", () => {
  expect(
    changed(
      "ENV PATH=/bin A='x $y' B=\"q $PATH\" C=\\$d",
      "ENV PATH=$PATH:/usr/bin",
      "ENV OLD some  text",
      "ENV E=${NOPE:-other} F=${A:+set} G=${PATH}x",
    ).Env,
  ).toEqual([
    "PATH=/bin:/usr/bin",
    "A=x $y",
    "B=q ",
    "C=$d",
    "OLD=some  text",
    "E=other",
    "F=set",
    "G=/bin:/usr/binx",
  ]);
  expect(() => changed("ENV A")).toThrow("ENV must have two arguments");
  expect(() => changed("ENV A=1 B")).toThrow("has no =, write name=value");
  expect(() => changed("ENV =1")).toThrow("ENV names can not be blank");
  expect(() => changed('ENV A="1')).toThrow("a double quote is not closed");
  expect(() => changed("ENV A=${B")).toThrow("a brace is not closed");
});

test("EXPOSE, VOLUME and LABEL add up", () => {
  expect(
    changed(
      "EXPOSE 80 53/udp",
      "EXPOSE 8000-8001",
      "VOLUME /data /more",
      'VOLUME ["/with space"]',
      'LABEL a=b "c d"="e f"',
    ),
  ).toEqual({
    ExposedPorts: { "80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {} },
    Volumes: { "/data": {}, "/more": {}, "/with space": {} },
    Labels: { a: "b", "c d": "e f" },
  });
  for (const spec of ["x", "0-70000", "9-8", "80/icmp", "8080:80"]) {
    expect(() => changed(`EXPOSE ${spec}`)).toThrow(`invalid containerPort: ${spec}`);
  }
});

test("WORKDIR is relative to the one before", () => {
  expect(changed("WORKDIR /a", "WORKDIR b", "WORKDIR ../c").WorkingDir).toBe("/a/c");
  expect(changed("WORKDIR b").WorkingDir).toBe("/b");
});

test("USER, STOPSIGNAL and ONBUILD are kept as written", () => {
  expect(
    changed("USER www:www", "STOPSIGNAL SIGQUIT", "ONBUILD RUN make", "ONBUILD USER x"),
  ).toEqual({ User: "www:www", StopSignal: "SIGQUIT", OnBuild: ["RUN make", "USER x"] });
  expect(() => changed("USER a b")).toThrow("USER requires exactly one argument");
  expect(() => changed("ONBUILD ONBUILD RUN x")).toThrow("Chaining ONBUILD");
  expect(() => changed("ONBUILD FROM x")).toThrow("FROM is not allowed as an ONBUILD trigger");
});

test("HEALTHCHECK has flags and a command, or is NONE", () => {
  expect(
    changed("HEALTHCHECK --interval=5s --timeout=1s --retries=3 CMD curl -f localhost").Healthcheck,
  ).toEqual({
    Test: ["CMD-SHELL", "curl -f localhost"],
    Interval: 5_000_000_000,
    Timeout: 1_000_000_000,
    Retries: 3,
  });
  expect(changed('HEALTHCHECK CMD ["true"]').Healthcheck).toEqual({ Test: ["CMD", "true"] });
  expect(changed("HEALTHCHECK NONE").Healthcheck).toEqual({ Test: ["NONE"] });
  expect(() => changed("HEALTHCHECK true")).toThrow('Unknown type "true" in HEALTHCHECK');
  expect(() => changed("HEALTHCHECK --interval=1us CMD x")).toThrow("less than 1ms");
  expect(() => changed("HEALTHCHECK --what=1 CMD x")).toThrow("bad flag --what=1");
});

test("other instructions and empty ones are refused", () => {
  expect(() => changed("RUN make")).toThrow("RUN is not a valid change command");
  expect(() => changed("toString x")).toThrow("toString is not a valid change command");
  expect(() => changed("")).toThrow("is not a valid change command");
  expect(() => changed("CMD")).toThrow("CMD requires at least one argument");
});
