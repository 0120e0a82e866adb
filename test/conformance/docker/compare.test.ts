/**
 * The same commands of docker's client against dockerd and against Tiffin: exit statuses and words agree, except where
 * scripts.ts says why not.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  engineObstacle,
  openEngineFixture,
  type EngineFixture,
} from "../../integration/engine-fixture.ts";
import { dockerdObstacle, openDockerd, type Dockerd } from "./dockerd-fixture.ts";
import { normalize } from "./normalize.ts";
import { scripts } from "./scripts.ts";

const obstacle = engineObstacle ?? dockerdObstacle;

interface Outcome {
  readonly command: string;
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

describe.skipIf(obstacle !== undefined)("docker's client against dockerd and Tiffin", () => {
  let dockerd: Dockerd;
  let engine: EngineFixture;
  let hosts: { readonly theirs: string; readonly ours: string };

  beforeAll(async () => {
    [dockerd, engine] = await Promise.all([openDockerd(), openEngineFixture()]);
    await engine.importBusybox("box");
    hosts = { theirs: dockerd.host, ours: `unix://${engine.socket}` };
    const both = `docker -H ${hosts.ours} run --rm -v /:/host:ro box tar -C / -c bin etc home tmp | docker -H ${hosts.theirs} import - box`;
    expect(Bun.spawnSync(["sh", "-c", both]).exitCode).toBe(0);
    // The same layer for both.
    const image = `docker -H ${hosts.theirs} save box | docker -H ${hosts.ours} load`;
    expect(Bun.spawnSync(["sh", "-c", image]).exitCode).toBe(0);
  }, 180_000);

  afterAll(async () => {
    await dockerd?.close();
    await engine?.close();
  });

  function perform(host: string, command: string): Outcome {
    const { exitCode, stdout, stderr, signalCode } = Bun.spawnSync(["sh", "-c", command], {
      env: { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: "/none", DOCKER_CLI_HINTS: "false" },
      timeout: 60_000,
      killSignal: "SIGKILL",
    });
    return {
      command,
      status: signalCode === "SIGKILL" ? -1 : exitCode,
      out: normalize(stdout.toString()),
      err: normalize(stderr.toString()),
    };
  }

  function clear(host: string): void {
    const words =
      "docker ps -aq | xargs -r docker rm -fv; docker volume ls -q | xargs -r docker volume rm";
    perform(host, words);
  }

  test.each(scripts.map((script) => [script.about, script] as const))("%s", (_about, script) => {
    const theirs = script.commands.map((command) => perform(hosts.theirs, command));
    clear(hosts.theirs);
    const ours = script.commands.map((command) => perform(hosts.ours, command));
    clear(hosts.ours);
    const known = script.differs ?? {};
    const masked = (outcome: Outcome): Outcome =>
      known[outcome.command] === undefined ? outcome : { ...outcome, status: 0, out: "", err: "" };
    expect(ours.map(masked)).toEqual(theirs.map(masked));
  });
});
