// What is being worked on, kept in this browser so that a closed tab loses nothing:
//   draft: {key: "photo", photo, blob}, {key: "work", photo, mask (packed), size, prompt}
import { store, canvas } from "./dom.js";
import { on } from "./database.js";
import { pack, unpack } from "./canvas/undo.js";

const AFTER = 800; // milliseconds without a change
const THUMBNAIL = 96;

// current() -> {photo, photoKey, mask, prompt}; photo is null before the first one.
export function createDraft(current) {
  let timer = 0, savedPhoto = null;

  async function save() {
    const { photo, photoKey, mask, prompt } = current();
    if (!photo) return;
    try {
      if (savedPhoto !== photoKey) {
        await on("draft", "readwrite", (objects) => objects.put({ key: "photo", photo: photoKey, blob: photo.blob }));
        store.set("draft", thumbnail(photo));
        savedPhoto = photoKey;
      }
      await on("draft", "readwrite", (objects) => objects.put({ key: "work", photo: photoKey, mask: pack(mask.alpha), size: mask.alpha.length, prompt }));
    } catch { /* private mode, or no room left: nothing is kept */ }
  }
  // A small square of the photo as a data URI, so that the page can show it before it reads anything else.
  function thumbnail(photo) {
    const small = canvas(THUMBNAIL, THUMBNAIL), scale = Math.max(THUMBNAIL / photo.width, THUMBNAIL / photo.height);
    const context = small.getContext("2d");
    context.imageSmoothingQuality = "high";
    const width = photo.width * scale, height = photo.height * scale;
    context.drawImage(photo.levels.at(-1), (THUMBNAIL - width) / 2, (THUMBNAIL - height) / 2, width, height);
    return small.toDataURL("image/jpeg", 0.8);
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden || !timer) return; // a phone may never come back to this page
    clearTimeout(timer);
    timer = 0;
    save();
  });

  return {
    changed() {
      clearTimeout(timer);
      timer = setTimeout(() => {
        timer = 0;
        save();
      }, AFTER);
    },
    // {photo: key, blob, mask: bytes, prompt}, or null.
    async load() {
      try {
        const [photo, work] = await Promise.all(["photo", "work"].map((key) => on("draft", "readonly", (objects) => objects.get(key))));
        if (!photo) return null;
        const own = work?.photo === photo.photo ? work : null;
        return { photo: photo.photo, blob: photo.blob, mask: own && unpack(own.mask, own.size), prompt: own?.prompt ?? "" };
      } catch {
        return null;
      }
    },
    clear() {
      clearTimeout(timer);
      savedPhoto = null;
      store.remove("draft");
      return on("draft", "readwrite", (objects) => objects.clear()).catch(() => {});
    },
  };
}
