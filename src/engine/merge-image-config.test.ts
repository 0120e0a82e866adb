import { expect, test } from "bun:test";
import type { ImageConfig } from "../images/image-store.ts";
import { commandLine, mergeImageConfig } from "./merge-image-config.ts";
import { emptySpec } from "./spec-defaults.ts";

const image: ImageConfig = {
  architecture: "amd64",
  os: "linux",
  config: {
    Entrypoint: ["/entry"],
    Cmd: ["run"],
    Env: ["PATH=/bin", "A=1"],
    WorkingDir: "/w",
    User: "u",
  },
  rootfs: { type: "layers", diff_ids: [] },
};

test("the image's entrypoint and command are the default", () => {
  expect(commandLine(mergeImageConfig(emptySpec("x"), image))).toEqual(["/entry", "run"]);
});

test("a command of the user's replaces the image's command only", () => {
  const merged = mergeImageConfig({ ...emptySpec("x"), command: ["other"] }, image);
  expect(commandLine(merged)).toEqual(["/entry", "other"]);
});

test("an entrypoint of the user's drops the image's command", () => {
  const merged = mergeImageConfig({ ...emptySpec("x"), entrypoint: ["/mine"] }, image);
  expect(commandLine(merged)).toEqual(["/mine"]);
});

test("an emptied entrypoint leaves the user's command", () => {
  const merged = mergeImageConfig({ ...emptySpec("x"), entrypoint: [""], command: ["/c"] }, image);
  expect(commandLine(merged)).toEqual(["/c"]);
});

test("variables are united by name", () => {
  const merged = mergeImageConfig({ ...emptySpec("x"), environment: ["A=2", "B=3"] }, image);
  expect(merged.environment).toEqual(["PATH=/bin", "A=2", "B=3"]);
});

test("no command at all is refused", () => {
  expect(() => mergeImageConfig(emptySpec("x"), { ...image, config: {} })).toThrow(
    "No command specified",
  );
});
