import { expect, test } from "bun:test";
import { attributeFor, isContent } from "./archive-attributes.ts";

/** cap_net_raw, permitted and effective, in both forms of the kernel's. */
const REVISION_2 = Buffer.from("0100000200200000000000000000000000000000", "hex");
const REVISION_3 = Buffer.concat([
  Buffer.from("0100000300200000000000000000000000000000", "hex"),
  Buffer.from([0, 0, 0, 0x70]),
]);

test("a capability is given to the container's root, and left as it is where that is the host's", () => {
  expect(attributeFor("security.capability", REVISION_2, 0)).toEqual(REVISION_2);
  expect(Buffer.from(attributeFor("security.capability", REVISION_2, 0x70000000))).toEqual(
    REVISION_3,
  );
  expect(attributeFor("security.capability", REVISION_3, 0x70000000)).toEqual(REVISION_3);
  expect(attributeFor("user.x", REVISION_2, 0x70000000)).toEqual(REVISION_2);
});

test("overlay's marks and the host's labels are no content", () => {
  for (const name of ["trusted.overlay.opaque", "user.overlay.redirect", "security.selinux"]) {
    expect(isContent(name)).toBe(false);
  }
  expect(isContent("user.mine")).toBe(true);
});
