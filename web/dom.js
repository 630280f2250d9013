// Small helpers over the document.
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// make("button", {type: "button", class: "icon", text: "x", on: {click}}, child, ...)
export function make(tag, { text, on = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  if (text != null) element.textContent = text;
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.filter((child) => child != null));
  return element;
}

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

// Say something to screen readers without showing it.
export function announce(text) {
  const live = $("#live");
  live.textContent = "";
  requestAnimationFrame(() => { live.textContent = text; });
}

// Show a sentence; an error stays until it is dismissed, other things go by themselves.
let toastTimer = 0;
export function toast(text, { error = false } = {}) {
  const box = $("#toast");
  $("p", box).textContent = text;
  box.classList.toggle("error", error);
  box.hidden = false;
  announce(text);
  clearTimeout(toastTimer);
  if (!error) toastTimer = setTimeout(() => { box.hidden = true; }, 5000);
}
export function toastGone() { $("#toast").hidden = true; }

export function canvas(width, height) {
  const element = document.createElement("canvas");
  element.width = Math.max(1, Math.round(width));
  element.height = Math.max(1, Math.round(height));
  return element;
}

export const toBlob = (source, type = "image/png", quality = 0.92) =>
  new Promise((resolve, reject) => source.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("encode"))), type, quality));

export function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// localStorage, where it is allowed.
export const store = {
  get(key, fallback) {
    try { return JSON.parse(localStorage.getItem(key)) ?? fallback; } catch { return fallback; }
  },
  set(key, value) {
    try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* private mode: the setting lasts as long as the page */ }
  },
  remove(key) {
    try { localStorage.removeItem(key); } catch { /* as above */ }
  },
};

// One at a time of a group of buttons is pressed.
export function press(buttons, chosen, attribute = "aria-pressed") {
  for (const button of buttons) button.setAttribute(attribute, String(button === chosen));
}

// A button and the sheet that it opens, with the arrow keys of a menu.
export function menu(root) {
  const button = $("button", root);
  const sheet = $(".sheet", root);
  const items = () => $$("[role=menuitem]:not([disabled])", sheet);
  const close = (focus) => {
    if (sheet.hidden) return;
    sheet.hidden = true;
    button.setAttribute("aria-expanded", "false");
    if (focus) button.focus();
  };
  const open = () => {
    sheet.hidden = false;
    button.setAttribute("aria-expanded", "true");
    items()[0]?.focus();
  };
  button.addEventListener("click", () => (sheet.hidden ? open() : close(false)));
  sheet.addEventListener("click", (event) => { if (event.target.closest("[role=menuitem]")) close(true); });
  root.addEventListener("keydown", (event) => {
    if (sheet.hidden) return;
    const list = items();
    const at = list.indexOf(document.activeElement);
    if (event.key === "Escape") close(true);
    else if (event.key === "ArrowDown") list[(at + 1) % list.length].focus();
    else if (event.key === "ArrowUp") list[(at + list.length - 1) % list.length].focus();
    else if (event.key === "Home") list[0].focus();
    else if (event.key === "End") list.at(-1).focus();
    else if (event.key === "Tab") return close(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.addEventListener("pointerdown", (event) => { if (!root.contains(event.target)) close(false); });
}
