import { invalidArgument } from "../base/error.ts";
import type { ArchiveSpool } from "./archive-spool.ts";
import { DOCKER_MANIFEST, dockerArchiveImages } from "./docker-archive.ts";
import type { ImageSource } from "./image-source.ts";
import { OCI_INDEX, ociLayoutImages } from "./oci-layout.ts";

/**
 * The images of a spooled archive. An archive of docker 25 and later holds both formats; the OCI layout is taken, since
 * it names every digest.
 *
 * @throws invalid-argument
 */
export function archiveImages(spool: ArchiveSpool): ImageSource[] {
  if (spool.file(OCI_INDEX) !== undefined) return ociLayoutImages(spool);
  if (spool.file(DOCKER_MANIFEST) !== undefined) return dockerArchiveImages(spool);
  if (spool.file("repositories") !== undefined) {
    throw invalidArgument(
      "Cannot load image: the archive is in the format of docker before 1.10",
      "Load it with an older docker and save it again",
    );
  }
  throw invalidArgument(
    `Cannot load image: the archive has neither ${DOCKER_MANIFEST} nor ${OCI_INDEX}`,
    "Use `tiffin import` for a root file system",
  );
}
