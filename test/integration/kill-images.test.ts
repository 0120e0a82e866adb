/** kill -9 of the engine at moments that a seed chooses, while images come, go and are made; the next engine finds all in order. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { engineObstacle, openEngineFixture, type EngineFixture } from "./engine-fixture.ts";
import { openRegistry, type RegistryFixture, registryObstacle } from "./registry-fixture.ts";
import { busyboxLayer, putImage } from "./registry-images.ts";

const obstacle = engineObstacle ?? registryObstacle;
/** Kills for each verb; more of them: `TIFFIN_KILLS=50`. */
const KILLS = Number(process.env["TIFFIN_KILLS"] ?? 2);
const SEED = Number(process.env["TIFFIN_KILL_SEED"] ?? Date.now() % 1_000_000);
const TIMEOUT_MS = 60_000 + KILLS * 30_000;
const LAYER_BYTES = 2 << 20;

interface Verb {
  /** What must be there before. */
  readonly before?: () => Promise<unknown>;
  readonly path: string;
  readonly body?: Uint8Array;
  /** Must work when the verb was killed, and after it has worked. */
  readonly after: () => Promise<unknown>;
}

describe.skipIf(obstacle !== undefined)("an engine that is killed", () => {
  let engine: EngineFixture;
  let registry: RegistryFixture;
  let state = SEED;

  /** A linear congruential generator: the same seed kills at the same moments, as far as a machine has such. */
  function random(): number {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  }

  beforeAll(async () => {
    console.log(`TIFFIN_KILL_SEED=${SEED} TIFFIN_KILLS=${KILLS}`);
    engine = await openEngineFixture();
    registry = await openRegistry();
    const data = (path: string): Parameters<typeof putImage>[2]["layers"][number] => [
      { type: "file", path, mode: 0o644, content: randomBytes(LAYER_BYTES) },
    ];
    const layers = [busyboxLayer(), data("a"), data("b"), data("c")];
    await putImage(registry.host, ["app", "1"], { layers });
  }, 120_000);

  afterAll(async () => {
    await registry?.close();
    await engine?.close();
  }, 60_000);

  /** The verb itself, not through a client: one that comes too late would start an engine of its own. */
  async function call({ path, body }: Verb): Promise<void> {
    const response = await fetch(`http://engine${path}`, {
      method: "POST",
      unix: engine.socket,
      headers: { "x-registry-auth": "", "content-type": body ? "application/x-tar" : "" },
      ...(body === undefined ? {} : { body }),
    } as RequestInit);
    await response.text();
  }

  async function removeAll(): Promise<void> {
    await engine.removeContainers();
    for (const id of new Set((await engine.tiffinOk("images", "-aq")).split("\n"))) {
      if (id !== "") await engine.tiffinOk("rmi", "-f", id);
    }
  }

  /** How long the verb takes is measured first; each kill is at a moment of that time, or a little after. */
  async function killAtMoments(verb: Verb): Promise<void> {
    await verb.before?.();
    const began = performance.now();
    await call(verb);
    const wholeMs = performance.now() - began;
    await verb.after();
    for (let kill = 1; kill <= KILLS; kill++) {
      await removeAll();
      await verb.before?.();
      const afterMs = random() * wholeMs * 1.1;
      const called = call(verb).catch(() => undefined);
      await Bun.sleep(afterMs);
      await engine.killEngine();
      await called;
      await engine.startEngine();
      const checked = await engine.tiffin(["system", "check"]);
      const where = `seed ${SEED}, kill ${kill}, after ${afterMs.toFixed(1)} ms`;
      // Above it may stand what a next pull goes on with.
      const told = checked.stdout.trimEnd().split("\n").at(-1);
      expect({ where, status: checked.status, told, err: checked.stderr }).toEqual({
        where,
        status: 0,
        told: "Everything is where it should be",
        err: "",
      });
      await verb.after();
    }
    await removeAll();
    await engine.tiffinOk("image", "prune", "-f");
    for (const place of ["blobs/sha256", "layers/sha256", "tmp"]) {
      expect({ place, left: filesIn(place) }).toEqual({ place, left: [] });
    }
    expect(await engine.leaks()).toEqual([]);
  }

  function filesIn(place: string): string[] {
    try {
      return readdirSync(join(engine.root, place));
    } catch {
      return [];
    }
  }

  const runs = (name: string) => async () =>
    expect(await engine.tiffinOk("run", "--rm", name)).toBe("pulled");

  test(
    "in a pull: the next pull goes on, and the image runs",
    async () => {
      const name = `${registry.host}/app:1`;
      await killAtMoments({
        path: `/images/create?fromImage=${registry.host}/app&tag=1`,
        after: async () => {
          await engine.tiffinOk("pull", "-q", name);
          await runs(name)();
        },
      });
    },
    TIMEOUT_MS,
  );

  test(
    "in a load: the archive loads again, and the image runs",
    async () => {
      const name = `${registry.host}/app:1`;
      const archive = join(engine.directory, "app.tar");
      await engine.tiffinOk("pull", "-q", name);
      await engine.tiffinOk("save", "-o", archive, name);
      await removeAll();
      await killAtMoments({
        path: "/images/load",
        body: readFileSync(archive),
        after: async () => {
          await engine.tiffinOk("load", "-q", "-i", archive);
          await runs(name)();
        },
      });
    },
    TIMEOUT_MS,
  );

  test(
    "in a push: the next push is whole",
    async () => {
      let count = 0;
      const name = (): string => `${registry.host}/pushed${count}:1`;
      const verb: Verb = {
        before: async () => {
          // Layers that have to be made again, and a repository that has nothing yet.
          count += 1;
          await engine.importBusybox(name());
        },
        get path() {
          return `/images/${registry.host}/pushed${count}/push?tag=1`;
        },
        after: async () => {
          await engine.tiffinOk("push", "-q", name());
          await engine.tiffinOk("rmi", "-f", name());
          await engine.tiffinOk("pull", "-q", name());
          expect(await engine.tiffinOk("run", "--rm", name(), "echo", "pulled")).toBe("pulled");
        },
      };
      await killAtMoments(verb);
    },
    TIMEOUT_MS,
  );

  test(
    "in a commit: the container is as it was, and can be committed",
    async () => {
      const name = `${registry.host}/app:1`;
      const script = "/bin/busybox dd if=/dev/urandom of=/new bs=1M count=4 2>/dev/null";
      await killAtMoments({
        before: async () => {
          await engine.tiffinOk("pull", "-q", name);
          await engine.tiffinOk("run", "--name", "cc", name, "/bin/busybox", "sh", "-c", script);
        },
        path: "/commit?container=cc&repo=made&tag=1",
        after: async () => {
          await engine.tiffinOk("commit", "cc", "made:1");
          const size = ["/bin/busybox", "stat", "-c", "%s", "/new"];
          expect(await engine.tiffinOk("run", "--rm", "made:1", ...size)).toBe(String(4 << 20));
        },
      });
    },
    TIMEOUT_MS,
  );

  test(
    "in a prune: what is left is whole, and the next prune takes it",
    async () => {
      const name = `${registry.host}/app:1`;
      await killAtMoments({
        before: async () => {
          await engine.tiffinOk("pull", "-q", name);
          await engine.importBusybox("other:1");
        },
        path: `/images/prune?filters=${encodeURIComponent('{"dangling":["false"]}')}`,
        after: async () => {
          await engine.tiffinOk("image", "prune", "-af");
          expect(filesIn("layers/sha256")).toEqual([]);
          await engine.tiffinOk("pull", "-q", name);
          await runs(name)();
        },
      });
    },
    TIMEOUT_MS,
  );
});
