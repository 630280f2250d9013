// This browser's own store, in IndexedDB:
//   entries, photos: see history.js; draft: see draft.js. Every call may fail: private mode, no room left.
const STORES = { entries: "key", photos: "key", draft: "key" };

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("inpaintd", 2);
    request.onupgradeneeded = () => {
      for (const [name, keyPath] of Object.entries(STORES)) {
        if (!request.result.objectStoreNames.contains(name)) request.result.createObjectStore(name, { keyPath });
      }
    };
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close(); // a newer page in another tab
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  });
}

let database = null;
// work(objects of the store) makes one request; its result.
export async function on(store, mode, work) {
  database ??= opened().catch((error) => {
    database = null;
    throw error;
  });
  const objects = (await database).transaction(store, mode).objectStore(store);
  const request = work(objects);
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
