// What was painted in this browser, in IndexedDB: it survives a reload, and nobody else sees it.
//   photos: {key, blob}; entries: {key, created, serverId, status, prompt, input, settings, photo, mask,
//   request: {region, scale, width, height}, outputs: [Blob], thumbnail: Blob}
import { $, make, icon, toast } from "./dom.js";
import { say } from "./strings.js";
import { on } from "./database.js";

const ENTRIES_MAX = 60;

// open(entry): show it again; cleared(): everything was deleted.
export function createHistory(open, cleared) {
  let entries = []; // newest first
  const urls = [];

  async function write(store, value) {
    try {
      await on(store, "readwrite", (objects) => objects.put(value));
      return true;
    } catch (error) {
      if (error?.name === "QuotaExceededError") toast(say("history.full"), { error: true });
      return false; // no history in this browser: painting goes on without it
    }
  }
  async function remove(entry) {
    entries = entries.filter((other) => other !== entry);
    await on("entries", "readwrite", (objects) => objects.delete(entry.key)).catch(() => {});
    if (!entries.some((other) => other.photo === entry.photo)) {
      await on("photos", "readwrite", (objects) => objects.delete(entry.photo)).catch(() => {});
    }
  }

  function show() {
    for (const url of urls.splice(0)) URL.revokeObjectURL(url);
    const root = $("#history");
    if (!entries.length) return root.replaceChildren(make("p", { class: "faint", text: say("history.empty") }));
    root.replaceChildren(...entries.map((entry) => {
      const url = entry.thumbnail && URL.createObjectURL(entry.thumbnail);
      if (url) urls.push(url);
      const name = entry.prompt || say("history.background");
      const state = { running: "history.running", failed: "history.failed", canceled: "history.canceled" }[entry.status];
      return make("div", { class: "entry", "data-status": entry.status },
        make("button", { class: "picture", "aria-label": say("history.open", { prompt: name }), on: { click: () => open(entry) } },
          url ? make("img", { src: url, alt: "", width: 72, height: 72 }) : null,
          make("span", {}, make("b", { text: name }), make("small", { text: [state && say(state), new Date(entry.created).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })].filter(Boolean).join(" · ") }))),
        make("button", { class: "icon", "aria-label": say("history.delete"), title: say("history.delete"), on: { click: async () => { await remove(entry); show(); } } }, icon("trash")));
    }), make("button", { text: say("history.clear"), on: { click: async () => { for (const entry of [...entries]) await remove(entry); show(); cleared(); } } }));
  }

  return {
    async load() {
      try {
        entries = (await on("entries", "readonly", (objects) => objects.getAll())).sort((a, b) => b.created - a.created);
      } catch { /* private mode of some browsers */ }
      show();
      return entries;
    },
    photo: async (key) => (await on("photos", "readonly", (objects) => objects.get(key)))?.blob,
    async add(entry, photoBlob) {
      if (!entries.some((other) => other.photo === entry.photo)) await write("photos", { key: entry.photo, blob: photoBlob });
      entries.unshift(entry);
      await write("entries", entry);
      for (const old of entries.slice(ENTRIES_MAX)) await remove(old);
      show();
    },
    async change(entry, changes) {
      Object.assign(entry, changes);
      if (entries.includes(entry)) await write("entries", entry);
      show();
    },
  };
}
