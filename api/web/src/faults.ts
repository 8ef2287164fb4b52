// A script that fails says so to the server: somebody must know before a user tells it (4.7.4).

import { formToken } from "./page";

const MOST = 5; // of one page: a loop must not keep the line busy

/** From now on errors of this page are told, never what stood on it. */
export function watchFaults(): void {
  let told = 0;
  const tell = (mesaj: string, kaynak: string, satir: number): void => {
    if (told >= MOST || formToken() === "") return;
    told += 1;
    const body = new URLSearchParams({ mesaj: mesaj.slice(0, 1000), ekran: location.pathname, kaynak: kaynak.slice(-300), satir: String(satir) });
    const headers = { "X-Form-Token": formToken(), "X-Idle": "1" };
    void fetch("/tarayici-hatasi", { method: "POST", headers, body }).catch(() => undefined); // the line is away: nobody to tell
  };
  window.addEventListener("error", (event) => tell(event.message, event.filename, event.lineno));
  window.addEventListener("unhandledrejection", (event) => tell(String(event.reason), "", 0));
}
