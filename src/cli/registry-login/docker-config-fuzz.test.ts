/** docker's config.json, in damaged forms. */
import { expect, test } from "bun:test";
import { survives } from "../../base/fuzz-fixture.ts";
import { credentialsFor, parseDockerConfig } from "./docker-config.ts";

const auth = Buffer.from("ann:s:cret").toString("base64");

test("a damaged config.json is refused in words, or gives credentials that are whole", async () => {
  const valid = [
    JSON.stringify({ auths: { "r.example": { auth }, "https://index.docker.io/v1/": { auth } } }),
    JSON.stringify({
      auths: { "r.example": { username: "ann", password: "x", identitytoken: "t" } },
    }),
    JSON.stringify({
      auths: {},
      credHelpers: { "other.example": "none" },
      HttpHeaders: { a: "b" },
    }),
  ];
  const read = async (text: string): Promise<void> => {
    const config = parseDockerConfig(text, "config.json");
    // A helper that is named would be run.
    if (config.credsStore !== undefined || Object.keys(config.credHelpers).length > 0) return;
    for (const host of ["r.example", "docker.io", "__proto__"]) {
      const found = await credentialsFor(config, host);
      if (found === undefined) continue;
      const words = found.kind === "identity" ? [found.token] : [found.user, found.password];
      for (const word of words) expect(word).toBeString();
    }
  };
  await survives(valid, read);
});
