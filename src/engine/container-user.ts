import { invalidArgument } from "../base/error.ts";

/** Who a process runs as, in ids as seen inside, and that user's home. */
export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly home: string;
}

const HIGHEST_ID = 2 ** 31 - 1;

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * docker's --user: `name`, `uid`, either with `:group` or `:gid`; "" is root. Names are looked up in the container's own
 * passwd(5) and group(5), numbers need no entry there. Supplementary groups are the user's own (else a program could leave
 * it, and be no member any more where a mode denies it something: CVE-2022-36109), those that list the user (not with an
 * explicit group), and --group-add's.
 * @throws invalid-argument with docker's words
 */
export function resolveUser(
  user: string,
  groupAdd: readonly string[],
  files: { passwd: string; group: string },
): ContainerUser {
  const [userPart = "", groupPart = "", ...rest] = user.split(":");
  if (rest.length > 0)
    throw invalidArgument(`Invalid user "${user}"`, "Use NAME, UID, NAME:GROUP or UID:GID");
  const groups = parseGroup(files.group);
  const entry = findUser(userPart === "" ? "0" : userPart, parsePasswd(files.passwd));
  const listed = groups.filter(({ members }) => entry.name !== "" && members.includes(entry.name));
  const supplementary = groupPart === "" ? listed.map(({ gid }) => gid) : [];
  const gid = groupPart === "" ? entry.gid : findGroup(groupPart, groups);
  const added = groupAdd.map((group) => findGroup(group, groups));
  return {
    uid: entry.uid,
    gid,
    groups: [...new Set([gid, ...supplementary, ...added])],
    home: entry.home,
  };
}

function findUser(user: string, passwd: readonly PasswdEntry[]): PasswdEntry {
  const named = passwd.find(({ name }) => name === user);
  // An id that the kernel would cut off is another user's.
  if (named) return { ...named, uid: checkId(named.uid, user), gid: checkId(named.gid, user) };
  if (/^\d+$/.test(user)) {
    const uid = checkId(Number(user), user);
    return passwd.find((entry) => entry.uid === uid) ?? { name: "", uid, gid: 0, home: "/" };
  }
  throw invalidArgument(
    `Unable to find user ${user}: no matching entries in passwd file`,
    "Use a number, or a name that the image's /etc/passwd has",
  );
}

function findGroup(group: string, groups: readonly GroupEntry[]): number {
  const named = groups.find(({ name }) => name === group);
  if (named) return named.gid;
  if (/^\d+$/.test(group)) return checkId(Number(group), group);
  throw invalidArgument(
    `Unable to find group ${group}: no matching entries in group file`,
    "Use a number, or a name that the image's /etc/group has",
  );
}

function checkId(id: number, written: string): number {
  if (id <= HIGHEST_ID) return id;
  throw invalidArgument(`Invalid user or group ${written}: ids must be in range 0-${HIGHEST_ID}`);
}

function parsePasswd(text: string): PasswdEntry[] {
  return lines(text).flatMap((fields) => {
    const [name = "", , uid = "", gid = "", , home = ""] = fields;
    if (!/^\d+$/.test(uid) || !/^\d+$/.test(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home: home === "" ? "/" : home }];
  });
}

function parseGroup(text: string): GroupEntry[] {
  return lines(text).flatMap(([name = "", , gid = "", members = ""]) =>
    /^\d+$/.test(gid) ? [{ name, gid: Number(gid), members: members.split(",") }] : [],
  );
}

function lines(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}
