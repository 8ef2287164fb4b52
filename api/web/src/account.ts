// Security keys: the server's question to the browser, the key's answer into the form, and the form on its way.

import { one } from "./page";

interface Descriptor {
  id: string;
  type: PublicKeyCredentialType;
  transports?: AuthenticatorTransport[];
}

function bytes(text: string): ArrayBuffer {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  const made = new Uint8Array(plain.length);
  for (let place = 0; place < plain.length; place++) made[place] = plain.charCodeAt(place);
  return made.buffer;
}

function text(buffer: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
}

function known(list: Descriptor[] | undefined): PublicKeyCredentialDescriptor[] {
  return (list ?? []).map((key) => ({ ...key, id: bytes(key.id) }));
}

async function made(options: any): Promise<object | null> {
  const credential = (await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: known(options.excludeCredentials),
    },
  })) as PublicKeyCredential | null;
  if (!credential) return null;
  const answer = credential.response as AuthenticatorAttestationResponse;
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    response: {
      clientDataJSON: text(answer.clientDataJSON),
      attestationObject: text(answer.attestationObject),
      transports: answer.getTransports ? answer.getTransports() : [],
    },
  };
}

async function signed(options: any): Promise<object | null> {
  const credential = (await navigator.credentials.get({
    publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: known(options.allowCredentials) },
  })) as PublicKeyCredential | null;
  if (!credential) return null;
  const answer = credential.response as AuthenticatorAssertionResponse;
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    response: {
      clientDataJSON: text(answer.clientDataJSON),
      authenticatorData: text(answer.authenticatorData),
      signature: text(answer.signature),
      userHandle: answer.userHandle ? text(answer.userHandle) : null,
    },
  };
}

async function ask(form: HTMLFormElement): Promise<string | null> {
  if (!window.PublicKeyCredential) return "Bu tarayıcı ya da bağlantı güvenlik anahtarını desteklemiyor (https gerekir).";
  const question = await fetch(form.dataset["question"] ?? "", {
    method: "POST",
    body: new FormData(form),
    headers: { Accept: "application/json" },
    credentials: "same-origin",
  });
  const told = await question.json();
  if (!question.ok) return String(told.message ?? "Anahtar sorulamadı.");
  const answer = form.dataset["keyForm"] === "create" ? await made(told) : await signed(told);
  if (!answer) return "Anahtar cevap vermedi.";
  const field = one<HTMLInputElement>("[name=cevap]", form);
  if (field) field.value = JSON.stringify(answer);
  return null;
}

export function account(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.dataset["keyForm"]) return;
    event.preventDefault();
    const problem = one("[data-key-problem]", form);
    if (problem) problem.hidden = true;
    ask(form)
      .catch((error: unknown) =>
        error instanceof DOMException && error.name === "InvalidStateError"
          ? "Bu anahtar daha önce eklenmiş."
          : "Anahtar kullanılmadı. Takılı olduğundan emin olup yeniden deneyin.",
      )
      .then((said) => {
        if (said === null) form.submit();
        else if (problem) {
          problem.textContent = said;
          problem.hidden = false;
        }
      });
  });
}
