// Pages that live: notes of the server say that something changed and where; the screen asks for what it shows.

import { one } from "./page";

export interface Note {
  tur: string;
  istemler: string[];
  hepsi?: boolean;
}

const KINDS = ["order", "specimen", "result", "approval", "unmatched", "line", "notice", "yenile"];
const AFTER = 150; // ms: notes of a moment are answered together

let waiting: Note[] = [];
let timer = 0;
let greeted = false;

function say(state: "on" | "off", words: string): void {
  const lamp = one("[data-live]");
  if (!lamp) return;
  lamp.dataset["state"] = state;
  lamp.textContent = words;
}

function take(note: Note): void {
  waiting.push(note);
  window.clearTimeout(timer);
  timer = window.setTimeout(() => {
    const notes = waiting;
    waiting = [];
    document.dispatchEvent(new CustomEvent<Note[]>("numune:notes", { detail: notes }));
  }, AFTER);
}

let stream: EventSource | null = null;

/**
 * A browser keeps only six connections to a server; a screen that nobody looks at gives its own back, and asks for
 * everything anew when it is looked at again.
 */
export function listen(): void {
  if (!one("[data-live]") || !("EventSource" in window)) return;
  let resting = 0;
  document.addEventListener("visibilitychange", () => {
    window.clearTimeout(resting);
    if (document.hidden) {
      resting = window.setTimeout(() => {
        stream?.close();
        stream = null;
      }, 15_000);
    } else if (!stream) open();
  });
  window.addEventListener("pagehide", () => stream?.close());
  open();
}

function open(): void {
  stream = new EventSource("/olay");
  stream.addEventListener("hazir", () => {
    say("on", "canlı");
    if (greeted) take({ tur: "yenile", istemler: [], hepsi: true }); // something may have been missed in between
    greeted = true;
  });
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => {
      try {
        take({ istemler: [], ...(JSON.parse((event as MessageEvent<string>).data) as object), tur: kind });
      } catch {
        take({ tur: "yenile", istemler: [], hepsi: true });
      }
    });
  }
  stream.addEventListener("error", () => {
    if (!stream) return;
    const ended = stream.readyState === EventSource.CLOSED;
    say("off", ended ? "bağlantı yok" : "bağlantı bekleniyor");
    if (ended) window.setTimeout(open, 5000); // a proxy's error page ends a stream for good; ask again
  });
}

/** True where one of the notes of these kinds is about this order, or says that anything may have changed. */
export function concerns(notes: Note[], kinds: string[], number?: string): boolean {
  return notes.some((note) => {
    if (note.tur === "yenile") return true;
    if (!kinds.includes(note.tur)) return false;
    return number === undefined || note.hepsi === true || note.istemler.includes(number);
  });
}

export function onNotes(answer: (notes: Note[]) => void): void {
  document.addEventListener("numune:notes", (event) => answer((event as CustomEvent<Note[]>).detail));
}
