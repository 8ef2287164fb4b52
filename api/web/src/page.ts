// What every module needs: finding, asking the server, and knowing whether somebody is writing.

export function one<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T | null {
  return within.querySelector<T>(selector);
}

export function all<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T[] {
  return Array.from(within.querySelectorAll<T>(selector));
}

export function formToken(): string {
  return one<HTMLMetaElement>('meta[name="form-token"]')?.content ?? "";
}

/** Fetches a part of a page. Anything but an answer of ours (a broken line, a proxy's page) is null. */
export async function part(path: string, form?: FormData | URLSearchParams, idle = false): Promise<{ status: number; html: string } | null> {
  try {
    const answer = await fetch(path, {
      method: form ? "POST" : "GET",
      body: form ?? null,
      headers: { "HX-Request": "true", "X-Form-Token": formToken(), ...(idle ? { "X-Idle": "1" } : {}) }, // idle: nobody works
      credentials: "same-origin",
    });
    const away = answer.headers.get("HX-Redirect");
    if (away) {
      window.location.assign(away);
      return null;
    }
    return { status: answer.status, html: await answer.text() };
  } catch {
    return null;
  }
}

const WRITES = new Set(["text", "password", "search", "date", "number", "tel", "email", "time", "datetime-local"]);

/** True for a field that takes letters: there, letters are text and never commands. */
export function isWriting(target: EventTarget | null): target is HTMLInputElement | HTMLTextAreaElement {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && WRITES.has(target.type);
}

export function isShown(element: HTMLElement): boolean {
  return element.getClientRects().length > 0;
}

export function openDialog(): HTMLDialogElement | null {
  return one<HTMLDialogElement>("dialog[open]");
}

/** The same folding as the server's search key: "ŞIĞIRCI" and "sigirci" are one text. */
export function folded(text: string): string {
  return text
    .replace(/[İIı]/g, "i")
    .toLowerCase()
    .normalize("NFD")
    .replace(/[\u0300-\u036f]/g, "");
}
