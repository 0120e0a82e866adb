/** Damaged documents are refused in words, whatever is in them; a run with the same seed is the same run. */
import { describe, expect, test } from "bun:test";
import { survives } from "../base/fuzz-fixture.ts";
import { parseReference, familiarReference } from "../base/reference.ts";
import { parseImageConfig } from "./image-config.ts";
import { parseDocument } from "./manifest.ts";

const digest = `sha256:${"a".repeat(64)}`;
const descriptor = { mediaType: "application/x", digest, size: 7 };

describe("damaged", () => {
  test("manifests and indexes are refused in words", async () => {
    const platform = { os: "linux", architecture: "arm64" };
    await survives(
      [
        JSON.stringify({ schemaVersion: 2, config: descriptor, layers: [descriptor, descriptor] }),
        JSON.stringify({ schemaVersion: 2, manifests: [{ ...descriptor, platform }] }),
      ],
      (text) => parseDocument(Buffer.from(text), "it"),
    );
  });

  test("configurations are refused in words", async () => {
    const config = {
      architecture: "amd64",
      os: "linux",
      config: { Env: ["A=b"], Cmd: ["x"], Labels: { a: "b" } },
      rootfs: { type: "layers", diff_ids: [digest] },
      history: [{ created_by: "x" }],
    };
    await survives([JSON.stringify(config)], (text) => parseImageConfig(Buffer.from(text)));
  });

  test("references are refused in words, or mean the same when they are written again", async () => {
    const valid = ["debian:12", `localhost:5000/team/app:3@${digest}`, "[::1]:5000/a/b__c.d"];
    await survives(valid, (text) => {
      const reference = parseReference(text);
      expect(parseReference(familiarReference(reference))).toEqual(reference);
    });
  });
});
