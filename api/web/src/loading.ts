// Load list: tubes are scanned in the order in which they stand on the analyser. One at a time to the server, in that
// order: the place of the next one depends on the one before.

import { closePanel } from "./keys";
import { all, one, part } from "./page";
import { inOrder, onScan } from "./scan";
import { sound } from "./sound";

export function loading(): void {
  const form = one<HTMLFormElement>("#load-form");
  const field = one<HTMLInputElement>("#load-field");
  const list = one<HTMLElement>("#load-list");
  const said = one<HTMLElement>("#said");
  if (!form || !field || !list || !said) return;
  const send = inOrder(async (body: FormData) => {
    show(await part(form.getAttribute("action") ?? "", body), String(body.get("barkod")));
  });

  function take(text: string): void {
    const body = new FormData(form!);
    body.set("barkod", text);
    form!.reset();
    send(body);
  }

  function show(answer: Awaited<ReturnType<typeof part>>, text: string): void {
    const good = answer?.status === 200;
    const fresh = document.createElement("template");
    fresh.innerHTML = answer?.html ?? "";
    const words = one("[data-part=said]", fresh.content);
    words?.remove();
    said!.innerHTML = words?.innerHTML ?? answer?.html ?? "";
    if (!answer) said!.textContent = `${text}: sunucuya ulaşılamadı, yeniden okutun.`;
    if (good) list!.replaceChildren(fresh.content);
    sound(good ? "good" : "bad");
  }

  onScan((text) => {
    take(text);
    return true;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (text) take(text);
    field.focus();
  });
  for (const action of all<HTMLFormElement>("form[data-load-action]")) {
    action.addEventListener("submit", (event) => {
      event.preventDefault();
      void part(action.dataset["loadAction"] ?? "", new FormData(action)).then((answer) => {
        show(answer, "");
        action.reset();
        closePanel(action);
        field.focus();
      });
    });
  }
}
