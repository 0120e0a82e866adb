/** What registries say in headers, and what users write down of them, in damaged forms. */
import { describe, expect, test } from "bun:test";
import { survives } from "../base/fuzz-fixture.ts";
import { rangeStart } from "./blob-read.ts";
import { parseChallenge } from "./challenge.ts";
import { parseRegistrySettings } from "./host-settings.ts";
import { nextPage } from "./next-page.ts";
import { retryAfterMs } from "./retry.ts";

describe("damaged", () => {
  test("challenges are one that is known, or none", async () => {
    const valid = [
      'Bearer realm="https://auth.example/token",service="r",scope="repository:a:pull"',
      'Basic realm="a \\" b", Bearer realm=x , service=y',
    ];
    await survives(valid, (text) => {
      const challenge = parseChallenge(text);
      expect(["basic", "bearer", undefined]).toContain(challenge?.scheme);
    });
  });

  test("next pages never lead to another host", async () => {
    const valid = ['</v2/a/tags/list?n=2&last=b>; rel="next"', "<https://x.example/v2/>; rel=next"];
    await survives(valid, (text) => {
      const target = nextPage(text, "/v2/a/tags/list") ?? "/";
      expect(target).toStartWith("/");
      expect(new URL(target, "http://registry").host).toBe("registry");
    });
  });

  test("numbers in headers are numbers, or nothing", async () => {
    await survives(["bytes 5-9/10", "120", "Wed, 21 Oct 2026 07:28:00 GMT"], (text) => {
      expect(rangeStart(text)).toBeNumber();
      expect(retryAfterMs(text) ?? 0).toBeGreaterThanOrEqual(0);
    });
  });

  test("settings are refused in words", async () => {
    const host = { mirrors: ["https://m.example/hub"], plainHttp: true, authority: "ca.pem" };
    const valid = [JSON.stringify({ hosts: { "docker.io": host, "r.example:5000": {} } })];
    await survives(valid, (text) => parseRegistrySettings(text, "/etc/registries.json"));
  });
});
