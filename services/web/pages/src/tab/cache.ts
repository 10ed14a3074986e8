// The ledger of this tab's shards, kept in IndexedDB where the visitor asks for it (SPEC-9): a reload brings back what it
// held, before it has a peer. What other tabs hold comes from them, so a lost write costs nothing but that.
//
//   const cache = await Cache.open(network);   // undefined: another tab of this browser has it, or there is no IndexedDB
//   for (const {shard, entries} of await cache.load()) ...
//   cache.put(shard, entries);                 // written a second later, many at once
//
// Tabs of one browser are nodes of their own; only one of them has the cache at a time, by a lock that its end releases.
// Bounded by ENTRIES_MAX; entries beyond it are counted.
//
// The sessions of its micro-nodes are kept with it: they decide which shards a tab holds.
import {deadline} from "./deadline";
import {hexOf} from "./hex";

const DATABASE = "lvs-ledger", STORE = "entries", WRITE_AFTER_MS = 1000, ENTRIES_MAX = 65_536, SESSIONS = "sessions";
const LOCK_MS = 1500;  // a page that is being reloaded lets go within that

// A ledger entry as the core writes it (shard/wasm/tab_module.h): its session comes first.
export interface Kept { readonly shard: number; readonly record: Uint8Array }
export const ENTRY_BYTES = 88;
const SESSION_BYTES = 16;

const keyOf = (network: string, {shard, record}: Kept): string =>
  `${network}/${String(shard).padStart(2, "0")}/${hexOf(record.subarray(0, SESSION_BYTES))}`;

const asked = <T>(request: IDBRequest<T>): Promise<T> => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("another page holds the database"));
  });
}

export class Cache {
  private readonly waiting = new Map<string, Kept>();
  private readonly keys = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private writing: Promise<void> = Promise.resolve();
  beyond = 0;   // entries that found no room
  failed = "";  // why the last write was not made

  private constructor(private readonly network: string, private readonly database: IDBDatabase,
                      private readonly release: () => void) {}

  // "taken": another tab has it.
  static async open(network: string): Promise<Cache | "taken"> {
    let release = () => {};
    const held = new Promise<void>((resolve) => { release = resolve; });
    // Pages without a secure origin have no locks. Two of them may overwrite each other's entries: they lose what the
    // other one had newer, and have it from their peers.
    const mine = !("locks" in navigator) || await new Promise<boolean>((resolve) => {
      const {signal, clear} = deadline(LOCK_MS);
      navigator.locks.request(`lvs-ledger ${network}`, {signal}, () => {
        clear();
        resolve(true);
        return held;
      }).catch(() => resolve(false));
    });
    if (!mine) return "taken";
    try {
      return new Cache(network, await openDatabase(), release);
    } catch (error) {
      release();
      throw error;
    }
  }

  get entries(): number {
    return this.keys.size;
  }

  private get range(): IDBKeyRange {
    return IDBKeyRange.bound(`${this.network}/`, `${this.network}0`, false, true);  // '0' follows '/'
  }

  async sessions(): Promise<readonly bigint[]> {
    const store = this.database.transaction(STORE, "readonly").objectStore(STORE);
    const kept: unknown = await asked(store.get(`${SESSIONS} ${this.network}`));
    return kept instanceof BigUint64Array ? [...kept] : [];
  }
  keepSessions(sessions: readonly bigint[]): void {
    const store = this.database.transaction(STORE, "readwrite").objectStore(STORE);
    store.put(BigUint64Array.from(sessions), `${SESSIONS} ${this.network}`);
  }

  async load(): Promise<Kept[]> {
    const store = this.database.transaction(STORE, "readonly").objectStore(STORE);
    const [keys, kept] = await Promise.all([
      asked(store.getAllKeys(this.range, ENTRIES_MAX)), asked(store.getAll(this.range, ENTRIES_MAX) as IDBRequest<Kept[]>),
    ]);
    for (const key of keys) this.keys.add(String(key));
    return kept.filter(({record}) => record.length === ENTRY_BYTES);
  }

  put(entries: Kept[]): void {
    for (const kept of entries) {
      const key = keyOf(this.network, kept);
      if (!this.keys.has(key) && this.keys.size >= ENTRIES_MAX) {
        this.beyond += 1;
        continue;
      }
      this.keys.add(key);
      this.waiting.set(key, kept);
    }
    if (this.waiting.size > 0) this.timer ??= setTimeout(() => void this.flush(), WRITE_AFTER_MS);
  }

  // Resolves once all that was put is on disk, or could not be written.
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.waiting.size === 0) return this.writing;
    const batch = [...this.waiting];
    this.waiting.clear();
    this.writing = this.writing.then(() => this.write(batch)).catch((error: unknown) => {
      this.failed = String(error);
    });
    return this.writing;
  }

  private write(batch: [string, Kept][]): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(STORE, "readwrite");
      const store = transaction.objectStore(STORE);
      for (const [key, kept] of batch) store.put(kept, key);
      transaction.oncomplete = () => {
        this.failed = "";
        resolve();
      };
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  }

  // The visitor wants nothing kept.
  async clear(): Promise<void> {
    await this.flush();
    this.keys.clear();
    await asked(this.database.transaction(STORE, "readwrite").objectStore(STORE).delete(this.range));
    this.close();
  }

  close(): void {
    this.database.close();
    this.release();
  }
}
