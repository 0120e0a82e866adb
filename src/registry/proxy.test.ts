import { describe, expect, test } from "bun:test";
import { proxyFor } from "./proxy.ts";

const environment = {
  HTTPS_PROXY: "http://proxy:3128",
  http_proxy: "plain:80",
  NO_PROXY: "internal.example,.only.below,10.1.0.0/16,host:5000",
};

describe("proxyFor()", () => {
  test.each([
    ["https://registry.example/v2/", "http://proxy:3128"],
    ["http://registry.example/v2/", "http://plain:80"],
    ["https://internal.example/", undefined],
    ["https://a.internal.example/", undefined],
    ["https://only.below/", "http://proxy:3128"],
    ["https://x.only.below/", undefined],
    ["https://10.1.2.3/", undefined],
    ["https://10.2.2.3/", "http://proxy:3128"],
    ["https://host:5000/", undefined],
    ["https://host/", "http://proxy:3128"],
    ["https://localhost:5000/", undefined],
    ["https://127.0.0.1:5000/", undefined],
    ["https://[::1]:5000/", undefined],
  ])("%s goes through %p", (address, proxy) => {
    expect(proxyFor(new URL(address), environment)).toBe(proxy);
  });

  test("* exempts everything", () => {
    const all = { HTTPS_PROXY: "p", NO_PROXY: "*" };
    expect(proxyFor(new URL("https://a/"), all)).toBeUndefined();
  });
});
