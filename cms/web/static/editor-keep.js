// Texts that the server does not have yet, kept by this browser: they survive a crash, a closed tab and a lost network.
// Each window of the editor keeps its own, so that no two write over each other.

const STORE = "texts";

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("cms-unsent", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function run(mode, work) {
  const database = await opened();
  try {
    const transaction = database.transaction(STORE, mode, { durability: "strict" });
    const answer = work(transaction.objectStore(STORE));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
    return answer.result;
  } finally {
    database.close();
  }
}

export const list = () => run("readonly", (store) => store.getAll());
export const put = (text) => run("readwrite", (store) => store.put(text));
export const remove = (key) => run("readwrite", (store) => store.delete(key));

export const find = (key) => run("readonly", (store) => store.get(key));

// A window holds a lock as long as it is there, however it goes. Without https a browser has no locks, and then nobody
// can tell: what a window keeps is offered in the next one, too.
export function stayOpen(key) {
  navigator.locks?.request(key, () => new Promise(() => {}));
}

// Calls back with each text that a window left behind: now, or as soon as the window that keeps it is gone.
export async function leftBehind(isWanted, act) {
  for (const { key } of (await list()).filter(isWanted)) {
    const look = async () => {
      const kept = await find(key);
      if (kept) await act(kept);
    };
    if (navigator.locks) navigator.locks.request(key, look).catch(() => {});
    else await look();
  }
}
