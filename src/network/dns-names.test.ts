import { expect, test } from "bun:test";
import { TYPE } from "./dns-message.ts";
import { answerName, type NameTable } from "./dns-names.ts";

const table: NameTable = {
  networks: [
    {
      name: "front",
      members: [
        { names: ["web", "shop"], ipv4: "10.0.0.2", ipv6: "fd00::2" },
        { names: ["web2", "shop"], ipv4: "10.0.0.3", ipv6: "" },
      ],
    },
  ],
  links: new Map([["db", "web2"]]),
  host: { ipv4: "10.0.0.1", ipv6: "" },
};
const ask = (name: string, type: number = TYPE.A, turn = 0): string[] | undefined =>
  answerName({ name, type, class: 1 }, table, turn)?.map(({ data }) => [...data].join("."));

test("names, aliases and links, in any case, with or without the network", () => {
  expect(ask("web")).toEqual(["10.0.0.2"]);
  expect(ask("WeB.Front")).toEqual(["10.0.0.2"]);
  expect(ask("db")).toEqual(["10.0.0.3"]);
  expect(ask("shop")).toEqual(["10.0.0.2", "10.0.0.3"]);
  expect(ask("shop", TYPE.A, 1)).toEqual(["10.0.0.3", "10.0.0.2"]);
  expect(ask("host.docker.internal")).toEqual(["10.0.0.1"]);
});

test("what is not here is somebody else's; what is here without such a record has none", () => {
  expect(ask("example.org")).toBeUndefined();
  expect(ask("web2", TYPE.AAAA)).toEqual([]);
  expect(ask("web", 15)).toEqual([]);
});

test("addresses have names", () => {
  const pointer = (name: string) =>
    answerName({ name, type: TYPE.PTR, class: 1 }, table)?.map(({ data }) =>
      String(Buffer.from(data)),
    );
  expect(pointer("2.0.0.10.in-addr.arpa")).toEqual(["\x03web\x05front\0"]);
  expect(pointer(`2.${"0.".repeat(27)}0.0.d.f.ip6.arpa`)).toEqual(["\x03web\x05front\0"]);
  expect(pointer("9.0.0.10.in-addr.arpa")).toBeUndefined();
  expect(pointer("2.0.0.999.in-addr.arpa")).toBeUndefined();
});
