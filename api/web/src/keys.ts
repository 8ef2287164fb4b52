// Everything without a mouse: `data-key` on a button is its command, and the same list explains itself under `?`.

import { all, isShown, isWriting, one, openDialog, part } from "./page";
import { isBurst } from "./scan";

const PATIENCE = 40; // ms that a letter waits, in case it is the first character of a scan

function spelled(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return `ctrl+${key}`;
  const letter = event.key.length === 1 && event.key.toLowerCase() !== event.key.toUpperCase();
  return event.shiftKey && letter ? `shift+${key}` : key === " " ? "space" : key;
}

function command(key: string): HTMLElement | null {
  const scope: ParentNode = openDialog() ?? document;
  const found = all<HTMLButtonElement>("[data-key]", scope).filter((element) => element.dataset["key"]?.toLowerCase() === key.toLowerCase());
  return found.find((element) => !element.disabled && isShown(element)) ?? null;
}

function press(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.altKey || event.isComposing) return;
  const key = spelled(event);
  const writing = isWriting(event.target);
  if (event.key === "Enter" && writing) {
    const submit = one<HTMLButtonElement>("[data-submit]", (event.target as HTMLElement).closest("[data-panel]") ?? document.createElement("i"));
    if (submit) {
      event.preventDefault();
      submit.click();
      return;
    }
  }
  if (event.key === "Escape") {
    escape(event, writing);
    return;
  }
  if (writing && !/^(F\d+|ctrl\+.+)$/.test(key)) return;
  if (event.repeat && key !== "space") return;
  const element = command(key);
  if (!element) return;
  event.preventDefault();
  if (key.length === 1 && /[a-zçğıöşü]/.test(key)) {
    window.setTimeout(() => {
      if (!isBurst()) clickStill(element, key);
    }, PATIENCE);
  } else {
    element.click();
  }
}

/** The part of the page may have been renewed while the letter waited: then the same command of the same order is meant. */
function clickStill(element: HTMLElement, key: string): void {
  const order = (of: HTMLElement | null): string | undefined => of?.closest<HTMLElement>("[data-number]")?.dataset["number"];
  const now = element.isConnected ? element : command(key);
  if (now && order(now) === order(element)) now.click();
}

/** Back one step: the dialog, the open panel, the field, the screen. */
function escape(event: KeyboardEvent, writing: boolean): void {
  if (openDialog()) return; // the browser closes it
  const panel = all("[data-panel]:not([hidden])").pop();
  if (panel) {
    event.preventDefault();
    closePanel(panel);
  } else if (writing) {
    (event.target as HTMLElement).blur();
    one("[data-list] [aria-selected=true]")?.focus();
  } else {
    one<HTMLAnchorElement>("a[data-back]")?.click();
  }
}

export function closePanel(panel: HTMLElement): void {
  panel.hidden = true;
  all<HTMLInputElement>("input, textarea", panel).forEach((input) => {
    if (input.type === "checkbox") input.checked = input.defaultChecked;
    else if (input.type !== "hidden") input.value = input.defaultValue; // what was given up must not be sent with another action
  });
  const list = panel.dataset["return"] ?? "[data-list]";
  one(`${list} [aria-selected=true]`)?.focus();
  document.dispatchEvent(new CustomEvent("numune:panel-closed"));
}

export function openPanel(selector: string): void {
  const panel = one(selector);
  if (!panel) return;
  all("[data-panel]:not([hidden])").forEach((other) => {
    if (other !== panel) other.hidden = true;
  });
  panel.hidden = false;
  panel.scrollIntoView({ block: "nearest" });
  (one("input:not([type=hidden]), select, textarea", panel) ?? one("[type=submit]", panel))?.focus();
  all("[data-row][aria-selected=true]").forEach((row) => row.scrollIntoView({ block: "nearest" })); // the panel took its place
}

async function show(selector: string): Promise<void> {
  const dialog = one<HTMLDialogElement>(selector);
  if (!dialog || dialog.open) return;
  if (dialog.id === "keys") listKeys(dialog);
  dialog.showModal();
  const address = dialog.dataset["load"];
  const body = one("[data-loaded]", dialog);
  if (!address || !body) return;
  const loaded = await part(address);
  body.innerHTML = loaded?.html ?? '<p class="said bad">Yüklenemedi; bağlantıyı kontrol edin.</p>';
  document.dispatchEvent(new CustomEvent("numune:added", { detail: body }));
}

const ALWAYS: [string, string][] = [
  ["↑ ↓", "satırlar arasında gez"],
  ["← →", "listeler arasında geç"],
  ["Enter", "aç"],
  ["Esc", "geri dön, kapat"],
  ["Barkod", "okutulan numara hangi alanda olursanız olun tanınır"],
];

function listKeys(dialog: HTMLElement): void {
  const list = one("[data-key-list]", dialog);
  if (!list) return;
  list.textContent = "";
  const seen = new Set<string>();
  const named = all<HTMLElement>("[data-key]").filter((element) => !dialog.contains(element));
  const rows: [string, string][] = named.map((element) => {
    const words = element.dataset["words"] ?? element.textContent ?? "";
    const letter = one("kbd", element)?.textContent ?? element.dataset["key"] ?? "";
    return [letter.trim(), (element.title || words.replace(letter, "")).trim()];
  });
  for (const [letter, words] of [...rows, ...ALWAYS]) {
    if (seen.has(letter)) continue;
    seen.add(letter);
    const key = document.createElement("kbd");
    key.textContent = letter;
    const told = document.createElement("span");
    told.textContent = words;
    list.append(key, told);
  }
}

export function watchKeys(): void {
  document.addEventListener("keydown", press);
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-open], [data-focus], [data-open-dialog], [data-close-dialog], [data-close]") : null;
    if (!target) return;
    const { open, focus, openDialog: dialog } = target.dataset;
    if (open) openPanel(open);
    if (focus) focusField(focus);
    if (dialog) void show(dialog);
    if ("closeDialog" in target.dataset) target.closest("dialog")?.close();
    if ("close" in target.dataset) {
      const panel = target.closest<HTMLElement>("[data-panel]");
      if (panel) closePanel(panel);
    }
  });
  document.addEventListener("numune:open", (event) => openPanel((event as CustomEvent<string>).detail));
}

function focusField(selector: string): void {
  const field = all<HTMLInputElement>(selector).find(isShown);
  if (field instanceof HTMLInputElement) {
    field.focus();
    field.select();
  } else if (field) {
    (one("[data-row][aria-selected=true]", field) ?? one("[data-row]", field))?.focus();
  } else {
    window.location.assign("/istemler");
  }
}
