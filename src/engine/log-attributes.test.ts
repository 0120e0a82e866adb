import { expect, test } from "bun:test";
import { logAttributes, validateLogAttributes } from "./log-attributes.ts";
import { emptySpec } from "./spec-defaults.ts";

const container = (logOptions: Record<string, string>) => ({
  id: "0123456789abcdef".repeat(4),
  name: "web",
  imageId: `sha256:${"f".repeat(64)}`,
  spec: {
    ...emptySpec("busybox:latest"),
    labels: { tier: "front", team: "a=b" },
    environment: ["MODE=fast", "HOME=/root", "EMPTY="],
    logOptions,
  },
});

test("labels and variables by name and by expression", () => {
  expect(logAttributes(container({ labels: "tier,none", env: "MODE,EMPTY" }))).toEqual({
    tier: "front",
    MODE: "fast",
    EMPTY: "",
  });
  expect(logAttributes(container({ "labels-regex": "^te", "env-regex": "OM" }))).toEqual({
    team: "a=b",
    HOME: "/root",
  });
  expect(logAttributes(container({}))).toEqual({});
});

test("a tag's fields are docker's", () => {
  expect(logAttributes(container({ tag: "{{.Name}}/{{ .ID }}/{{.ImageName}}" }))).toEqual({
    tag: "web/0123456789ab/busybox:latest",
  });
  expect(() => validateLogAttributes(container({ tag: "{{.Secret}}" }).spec)).toThrow(/not known/);
  expect(() => validateLogAttributes(container({ "env-regex": "(" }).spec)).toThrow(/regexp/);
  validateLogAttributes(container({ tag: "plain", "env-regex": "^A" }).spec);
});
