// Keyboard shortcuts of the whole page; IOPaint's where it has one.
import { $ } from "./dom.js";

const TOOLS = { b: "brush", e: "eraser", l: "lasso", r: "rectangle", c: "ellipse", g: "fill", h: "pan" };

export function bindKeys(app) {
  const { view } = app;
  const stage = $("#stage");
  let pointerSeen = -Infinity; // when the pointer last moved over the stage
  let byTab = false;           // the focus was last moved by the Tab key
  stage.addEventListener("pointermove", () => { pointerSeen = performance.now(); });
  document.addEventListener("pointerdown", () => { byTab = false; });

  const writing = (target) => target.closest?.("input:not([type=range], [type=checkbox], [type=radio]), textarea, select, dialog");
  const ctrl = (event) => event.ctrlKey || event.metaKey;
  const onStage = () => document.activeElement === stage || document.activeElement === document.body;
  // Tab moves the focus, except for a hand on the mouse over the photo: there it shows the original while held.
  const tabShows = () => onStage() && !byTab && performance.now() - pointerSeen < 10000;

  function command(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (ctrl(event)) {
      if (key === "z") return () => (event.shiftKey ? app.redo() : app.undo());
      if (key === "y") return () => app.redo();
      if (key === "a") return () => app.maskCommand("all");
      return null;
    }
    if (event.altKey) return null;
    if (event.shiftKey) {
      if (event.code === "BracketRight" || key === "}") return () => app.maskCommand("grow");
      if (event.code === "BracketLeft" || key === "{") return () => app.maskCommand("shrink");
      if (key === "r") return () => app.painting.start();
    } else if (TOOLS[key]) return () => app.tool(TOOLS[key]);
    switch (key) {
      case "[": return () => app.brushBy(1 / 1.15);
      case "]": return () => app.brushBy(1.15);
      case "i": return () => app.maskCommand("invert");
      case "Delete": case "Backspace": return () => app.maskCommand("clear");
      case "0": return () => view.fit();
      case "1": return () => view.actual();
      case "+": case "=": return () => view.zoomBy(1.25);
      case "-": return () => view.zoomBy(0.8);
      case "?": return () => $("#help-dialog").showModal();
      default: return null;
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && ctrl(event) && !event.target.closest?.("dialog")) {
      event.preventDefault();
      return app.painting.start();
    }
    if (event.key === "Escape" && !event.defaultPrevented && !$("dialog[open]")) {
      if (app.results.escape() || app.closePanel()) return;
      return app.painting.running ? app.painting.cancel() : view.fit();
    }
    if (writing(event.target)) return;
    if (event.key === " " && onStage()) {
      event.preventDefault();
      return app.input.space(true);
    }
    if ((event.key === "Tab" && !event.shiftKey && tabShows()) || event.key === "\\") {
      event.preventDefault();
      return view.setOriginal(true);
    }
    byTab ||= event.key === "Tab";
    const run = command(event);
    if (!run) return;
    event.preventDefault();
    run();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " ") app.input.space(false);
    if (event.key === "Tab" || event.key === "\\") view.setOriginal(false);
  });
  window.addEventListener("blur", () => {
    app.input.space(false);
    view.setOriginal(false);
  });
}
