import { describe, expect, test } from "bun:test";
import { credentialsFor, parseDockerConfig } from "./docker-config.ts";

const auth = Buffer.from("ann:s:cret").toString("base64");

function config(content: unknown): ReturnType<typeof parseDockerConfig> {
  return parseDockerConfig(JSON.stringify(content), "config.json");
}

describe("credentialsFor()", () => {
  test("finds a host's entry; a password may hold colons", async () => {
    const found = await credentialsFor(config({ auths: { "r.example": { auth } } }), "r.example");
    expect(found).toEqual({ kind: "password", user: "ann", password: "s:cret" });
  });

  test("finds Docker Hub under its old name, and hosts written as addresses", async () => {
    const hub = config({ auths: { "https://index.docker.io/v1/": { auth } } });
    expect(await credentialsFor(hub, "docker.io")).toMatchObject({ user: "ann" });
    const old = config({ auths: { "https://r.example/v1/": { auth } } });
    expect(await credentialsFor(old, "r.example")).toMatchObject({ user: "ann" });
  });

  test("prefers an identity token", async () => {
    const both = config({ auths: { r: { auth, identitytoken: "t" } } });
    expect(await credentialsFor(both, "r")).toEqual({ kind: "identity", token: "t" });
  });

  test("knows nothing of other hosts", async () => {
    expect(await credentialsFor(config({ auths: { a: { auth } } }), "b")).toBeUndefined();
  });

  test("tells which helper is missing", async () => {
    const helped = config({ credHelpers: { r: "of-nobody" } });
    await expect(credentialsFor(helped, "r")).rejects.toThrow("docker-credential-of-nobody");
  });
});

test.each([
  ["{", "it is not JSON"],
  ["[]", "it is no object"],
  ['{"auths": {"a": 1}}', "the entry of a in auths is no object"],
])("config.json that is %s is refused with the reason", (text, reason) => {
  expect(() => parseDockerConfig(text, "config.json")).toThrow(
    `Cannot read config.json: ${reason}`,
  );
});
