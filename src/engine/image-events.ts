import { isTiffinError } from "../base/error.ts";
import { familiarReference, parseReference } from "../base/reference.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { EventHub } from "./event-hub.ts";

/** The same store, telling what happens to images: docker's load, import, save, tag, untag and delete events. */
export function observeImages(store: ImageStore, events: EventHub): ImageStore {
  const tell = (action: string, actorId: string, name: string): void => {
    events.emit({ type: "image", action, actorId, attributes: { name } });
  };
  return {
    content: store.content,
    image: (reference, platform) => store.image(reference, platform),
    images: () => store.images(),
    history: (reference, platform) => store.history(reference, platform),
    layerDirectories: (imageId) => store.layerDirectories(imageId),
    collectGarbage: (options) => store.collectGarbage(options),
    check: () => store.check(),
    layerUse: () => store.layerUse(),
    install: (source, report) => store.install(source, report),
    forPush: (reference, work, signal) => store.forPush(reference, work, signal),
    addDigest: (imageId, reference) => store.addDigest(imageId, reference),
    save: (references, options) => {
      const archive = store.save(references, options);
      for (const reference of references) tell("save", idOf(store, reference), reference);
      return archive;
    },
    load: async (archive, report) => {
      const loaded = await store.load(archive, report);
      for (const name of loaded) tell("load", idOf(store, name), name);
      return loaded;
    },
    importRootfs: async (archive, options) => {
      const id = await store.importRootfs(archive, options);
      tell("import", id, options.reference ?? id);
      return id;
    },
    commit: async (commit) => {
      const id = await store.commit(commit);
      if (commit.reference !== undefined) {
        tell("tag", id, familiarReference(parseReference(commit.reference)));
      }
      return id;
    },
    tag: (source, target) => {
      store.tag(source, target);
      tell("tag", idOf(store, target), familiarReference(parseReference(target)));
    },
    remove: async (reference, options) => {
      const id = idOf(store, reference);
      const removed = await store.remove(reference, options);
      for (const { untagged, deleted } of removed) {
        if (untagged !== undefined) tell("untag", id, untagged);
        if (deleted !== undefined) tell("delete", deleted, deleted);
      }
      return removed;
    },
  };
}

function idOf(store: ImageStore, reference: string): string {
  try {
    return store.image(reference).id;
  } catch (error) {
    if (isTiffinError(error, "not-found")) return reference;
    throw error;
  }
}
