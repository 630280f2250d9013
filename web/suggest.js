// Words that the model knows best, offered while a prompt is typed: a combobox with its list above it.
import { $, make } from "./dom.js";
import { say } from "./strings.js";

const WORDS_MAX = 300;
const bare = (text) => text.trim().toLowerCase().replace(/^(an?|the|some) /, "");

export function createSuggest() {
  const input = $("#prompt"), box = $("#suggest"), list = $("#words");
  let words = [];
  let active = -1; // of what is listed, for the arrow keys

  const options = () => [...list.children];
  function mark(index) {
    active = index;
    for (const [i, option] of options().entries()) option.setAttribute("aria-selected", String(i === active));
    const option = options()[active];
    if (option) input.setAttribute("aria-activedescendant", option.id);
    else input.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }
  function close() {
    box.hidden = true;
    input.setAttribute("aria-expanded", "false");
    mark(-1);
  }
  function take(word) {
    input.value = word;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    close();
    input.focus();
  }
  function show() {
    const text = bare(input.value);
    if (!words.length || words.some((word) => text.includes(bare(word)))) return close(); // it says one of them already
    const begins = (word) => ` ${bare(word)}`.includes(` ${text}`);
    const found = words.filter((word) => bare(word).includes(text)).sort((a, b) => begins(b) - begins(a));
    $("#suggest-title").textContent = say(found.length ? "words.best" : "words.unknown");
    list.replaceChildren(...(found.length ? found : words).map((word, i) =>
      make("span", { role: "option", id: `word-${i}`, text: word, on: { click: () => take(word) } })));
    box.hidden = false;
    list.scrollTop = 0;
    input.setAttribute("aria-expanded", "true");
    mark(-1);
  }

  input.addEventListener("input", (event) => { if (event.isTrusted) show(); });
  input.addEventListener("click", show);
  input.addEventListener("blur", close);
  box.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the field
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && (box.hidden || options().length)) {
      if (box.hidden) show();
      const count = options().length + 1; // one of the places is the field itself
      if (!box.hidden) mark(((active + 1 + step + count) % count) - 1);
    } else if (event.key === "Enter" && !box.hidden && active >= 0 && !event.ctrlKey && !event.metaKey) {
      take(options()[active].textContent);
    } else if (event.key === "Escape" && !box.hidden) {
      close();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  });
  input.form.addEventListener("submit", close);

  // What the model's hints say; anything else is no list.
  return (given) => {
    words = Array.isArray(given) ? given.filter((word) => typeof word === "string" && word.trim()).slice(0, WORDS_MAX) : [];
    if (document.activeElement !== input) close();
  };
}
