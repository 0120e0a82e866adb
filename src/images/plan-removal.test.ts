import { expect, test } from "bun:test";
import { digestOf } from "../base/hash.ts";
import { isTiffinError, messageOf } from "../base/error.ts";
import { familiarReference, parseReference } from "../base/reference.ts";
import { type ImageUser, planRemoval } from "./plan-removal.ts";

const ID = digestOf("image");
const SHORT = ID.slice(7, 19);
const DIGEST = digestOf("manifest");
const RUNNING: ImageUser = { id: "a".repeat(64), running: true };
const STOPPED: ImageUser = { id: "b".repeat(64), running: false };

function plan(
  asked: string,
  names: string[],
  { force = false, users = [] as ImageUser[] } = {},
): string {
  try {
    const { untag, deletes } = planRemoval({
      id: ID,
      asked,
      force,
      users,
      references: names.map(parseReference),
    });
    return [...untag.map(familiarReference), ...(deletes ? ["DELETE"] : [])].join(" ");
  } catch (error) {
    if (!isTiffinError(error, "conflict")) throw error;
    return messageOf(error);
  }
}

test("a name is taken off, and the image goes with its last one", () => {
  expect(plan("a", ["a:latest"])).toBe("a:latest DELETE");
  expect(plan("a", ["a:latest", "a:1"])).toBe("a:latest");
  expect(plan("b:2", ["a:latest", "b:2"])).toBe("b:2");
});

test("digests of a repository go with its last tag", () => {
  expect(plan("a", ["a:latest", `a@${DIGEST}`])).toBe(`a:latest a@${DIGEST} DELETE`);
  expect(plan("a", ["a:latest", "a:1", `a@${DIGEST}`])).toBe("a:latest");
  expect(plan("a", ["a:latest", `b@${DIGEST}`])).toBe("a:latest");
  expect(plan(`a@${DIGEST}`, ["a:latest", `a@${DIGEST}`])).toBe(`a@${DIGEST}`);
  expect(plan(`a:latest@${DIGEST}`, ["a:latest", `a@${DIGEST}`])).toBe(`a@${DIGEST}`);
});

test("an id removes an image with names in one repository only", () => {
  expect(plan(SHORT, [])).toBe("DELETE");
  expect(plan(ID, ["a:latest"])).toBe("a:latest DELETE");
  expect(plan(SHORT, ["a:latest", `a@${DIGEST}`])).toBe(`a:latest a@${DIGEST} DELETE`);
  expect(plan(SHORT, ["a:latest", "b:latest"])).toBe(
    `conflict: unable to delete ${SHORT} (must be forced) - image is referenced in multiple repositories`,
  );
  expect(plan(SHORT, ["a:latest", "b:latest"], { force: true })).toBe("a:latest b:latest DELETE");
});

test("a container keeps the last name unless forced", () => {
  const words = (user: ImageUser) =>
    `conflict: unable to remove repository reference "a" (must force) - container ${user.id.slice(0, 12)} is using its referenced image ${SHORT}`;
  expect(plan("a", ["a:latest"], { users: [RUNNING] })).toBe(words(RUNNING));
  expect(plan("a", ["a:latest"], { users: [STOPPED] })).toBe(words(STOPPED));
  expect(plan("a", ["a:latest", "b:1"], { users: [RUNNING] })).toBe("a:latest");
  expect(plan("a", ["a:latest"], { users: [STOPPED], force: true })).toBe("a:latest DELETE");
});

test("a running container keeps the image even when forced, without a name", () => {
  expect(plan("a", ["a:latest"], { users: [STOPPED, RUNNING], force: true })).toBe("a:latest");
  expect(plan(SHORT, ["a:latest"], { users: [STOPPED, RUNNING], force: true })).toBe(
    `conflict: unable to delete ${SHORT} (cannot be forced) - image is being used by running container aaaaaaaaaaaa`,
  );
});

test("a stopped container keeps an image that is removed by id unless forced", () => {
  expect(plan(SHORT, ["a:latest"], { users: [STOPPED] })).toBe(
    `conflict: unable to delete ${SHORT} (must be forced) - image is being used by stopped container bbbbbbbbbbbb`,
  );
  expect(plan(SHORT, ["a:latest"], { users: [STOPPED], force: true })).toBe("a:latest DELETE");
});
