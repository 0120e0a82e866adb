import { fgetxattr, flistxattr } from "../kernel/files.ts";

const CAPABILITY = "security.capability";
/** struct vfs_ns_cap_data of <linux/capability.h>: a revision in the top byte, two pairs of sets, then the user namespace's root. */
const REVISION_2 = 0x02000000;
const REVISION_3 = 0x03000000;
const REVISION_MASK = 0xff000000;
const REVISION_2_BYTES = 20;
const REVISION_3_BYTES = 24;

/**
 * Overlay's own attributes are no content of a tree: an archive that sets them could point into other layers. Labels
 * and measurements of the host's security modules are the host's to give.
 */
export function isContent(attribute: string): boolean {
  if (/^(trusted|user)\.overlay\./.test(attribute)) return false;
  return !["security.selinux", "security.ima", "security.evm"].includes(attribute);
}

/**
 * The attributes of an open file that an archive of it holds. Capabilities are written without the user namespace that they
 * hold in, as docker does: they are those of whoever is root where the archive is unpacked. Access lists hold ids, which are
 * the container's only on disk: `accessLists` false leaves them out.
 */
export function archivedAttributes(
  descriptor: number,
  options: { accessLists: boolean },
): Map<string, Uint8Array> | undefined {
  const names = flistxattr(descriptor);
  if (names.length === 0) return undefined;
  const attributes = new Map<string, Uint8Array>();
  for (const name of names) {
    if (!isContent(name) || (name.startsWith("system.") && !options.accessLists)) continue;
    const value = fgetxattr(descriptor, name);
    if (value !== null) attributes.set(name, name === CAPABILITY ? anyRoots(value) : value);
  }
  return attributes;
}

/** An attribute as it is set in a container whose root is the host's user `idBase`. */
export function attributeFor(name: string, value: Uint8Array, idBase: number): Uint8Array {
  if (name !== CAPABILITY || idBase === 0 || value.length !== REVISION_2_BYTES) return value;
  const bytes = Buffer.alloc(REVISION_3_BYTES);
  bytes.set(value);
  const flags = bytes.readUInt32LE(0);
  if ((flags & REVISION_MASK) >>> 0 !== REVISION_2) return value;
  bytes.writeUInt32LE(((flags & ~REVISION_MASK) | REVISION_3) >>> 0, 0);
  bytes.writeUInt32LE(idBase, REVISION_2_BYTES);
  return bytes;
}

function anyRoots(value: Uint8Array): Uint8Array {
  const bytes = Buffer.from(value);
  if (bytes.length !== REVISION_3_BYTES) return value;
  const flags = bytes.readUInt32LE(0);
  if ((flags & REVISION_MASK) >>> 0 !== REVISION_3) return value;
  bytes.writeUInt32LE(((flags & ~REVISION_MASK) | REVISION_2) >>> 0, 0);
  return bytes.subarray(0, REVISION_2_BYTES);
}
