// The side panel's tabs, the theme, and the dialogs.
import { $, $$, make, store } from "./dom.js";
import { words } from "./strings.js";
import * as api from "./api.js";

export function createPanel(onTab) {
  const panel = $("#panel");
  const tabs = $$("[role=tab]", panel);
  function choose(tab, focus) {
    for (const one of tabs) {
      one.setAttribute("aria-selected", String(one === tab));
      one.tabIndex = one === tab ? 0 : -1;
      $(`#${one.getAttribute("aria-controls")}`).hidden = one !== tab;
    }
    if (focus) tab.focus();
    onTab(tab.id.replace("tab-", ""));
  }
  for (const tab of tabs) tab.addEventListener("click", () => choose(tab, false));
  $(".tabs", panel).addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    if (at < 0) return;
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(tabs.at(next % tabs.length), true);
  });
  const open = (show) => {
    panel.classList.toggle("open", show);
    $("#panel-open").setAttribute("aria-expanded", String(show));
    if (show) $("[aria-selected=true]", panel).focus();
    else $("#panel-open").focus();
  };
  $("#panel-open").addEventListener("click", () => open(!panel.classList.contains("open")));
  $("#panel-close").addEventListener("click", () => open(false));
  // Close it where it covers the photo; false when there was nothing to close.
  return () => {
    if (!panel.classList.contains("open")) return false;
    open(false);
    return true;
  };
}

export function bindTheme() {
  $("#theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* lasts as long as the page */ }
  });
}

export function bindDialogs() {
  $("#help").addEventListener("click", () => $("#help-dialog").showModal());
  $("#help-keys").append(...words.keys.flatMap(([keys, text]) => [
    make("dt", {}, ...keys.split(" ").map((key) => make("kbd", { text: key }))), make("dd", { text })]));

  const dialog = $("#token-dialog");
  $("#token-cancel").addEventListener("click", () => dialog.close("cancel"));
  const ask = () => new Promise((resolve) => {
    $("#token").value = "";
    $("#token-keep").checked = store.get("token", "") !== "";
    dialog.returnValue = "cancel";
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "ok" ? $("#token").value.trim() : "";
      if (given) api.setToken(given, $("#token-keep").checked);
      resolve(given || null);
    }, { once: true });
    dialog.showModal();
  });
  let asking = null; // several requests that are refused at once ask once
  api.onTokenWanted(() => (asking ??= ask().finally(() => { asking = null; })));
  document.addEventListener("click", (event) => { if (event.target.id === "token-open") ask(); });
}
