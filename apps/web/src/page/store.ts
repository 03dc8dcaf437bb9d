// What the page keeps in the browser (IndexedDB): the takes of each bundle, and the record.

export type Place = "takes" | "runs" | "items";

let opened: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("sensemble", 1);
    request.onupgradeneeded = () => {
      for (const place of ["takes", "runs", "items"]) request.result.createObjectStore(place, { keyPath: "id", autoIncrement: true });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function done<T>(place: Place, mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const transaction = (await database()).transaction(place, mode);
  const request = ask(transaction.objectStore(place));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** Keep a value, and return its key. */
export const keep = async (place: Place, value: object): Promise<number> => Number(await done(place, "readwrite", (store) => store.put(value)));

export const all = <T>(place: Place): Promise<T[]> => done(place, "readonly", (store) => store.getAll() as IDBRequest<T[]>);

/** Return the value with the least key. */
export const oldest = <T>(place: Place): Promise<T | undefined> => done(place, "readonly", (store) => store.get(IDBKeyRange.lowerBound(0)) as IDBRequest<T | undefined>);

export const forget = (place: Place, id: number | IDBKeyRange): Promise<undefined> => done(place, "readwrite", (store) => store.delete(id));
