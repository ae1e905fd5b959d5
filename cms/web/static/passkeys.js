// Passkeys: a form with data-passkey="create" or "get" asks the browser for one and is sent with its answer.
// What is asked for is in data-options, or comes from the address in data-begin. Without this, such forms stay hidden.

const forms = document.querySelectorAll("form[data-passkey]");
const isKnown = window.PublicKeyCredential?.parseRequestOptionsFromJSON !== undefined;

async function ask(form) {
  const { passkey, options, begin } = form.dataset;
  const wanted = begin ? await fetchOptions(begin) : JSON.parse(options);
  const credential = passkey === "create"
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(wanted) })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(wanted) });
  return JSON.stringify(credential.toJSON());
}

async function fetchOptions(address) {
  const response = await fetch(address, { method: "POST" });
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return response.json();
}

async function send(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const trouble = form.querySelector("[role=alert]");
  trouble.textContent = "";
  try {
    form.elements.answer.value = await ask(form);
  } catch (error) {
    trouble.textContent = error.name === "InvalidStateError"
      ? "This passkey was added already."
      : "No passkey was shown. Try once more, or go another way.";
    return;
  }
  form.submit();
}

if (isKnown) {
  for (const form of forms) {
    form.hidden = false;
    form.addEventListener("submit", send);
  }
  for (const text of document.querySelectorAll("[data-without-passkeys]")) text.hidden = true;
}
