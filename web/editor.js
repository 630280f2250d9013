// The editor: stage, tools, painting, results and history, and who tells whom. Loaded with the first photo.
import { $, $$, menu, press, announce, toast, toastGone, toBlob, save, store } from "./dom.js";
import { say } from "./strings.js";
import * as api from "./api.js";
import { createView } from "./canvas/view.js";
import { createMask } from "./canvas/mask.js";
import { createTools } from "./canvas/tools.js";
import { createInput } from "./canvas/input.js";
import { createUndo, pack, unpack } from "./canvas/undo.js";
import { openPhoto, decode } from "./canvas/photo.js";
import { createCompare } from "./compare.js";
import { createResults } from "./results.js";
import { createPainting } from "./painting.js";
import { createHistory } from "./history.js";
import { createDraft } from "./draft.js";
import { createCode } from "./code.js";
import { bindKeys } from "./keys.js";
import { prepare } from "./request.js";

// parts: {form, closePanel} of the page around it.
export async function startEditor(parts) {
  const stage = $("#stage");
  const brush = { size: 48, longest: 0, soft: store.get("soft", 0) / 100 }; // size: pixels of the photo
  let toolName = "brush";

  const app = { photo: null, photoKey: null, mask: null, ...parts };
  const newKey = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  // ---- the stage ----
  app.view = createView(stage, (view) => {
    const percent = `${Math.round(view.scale * view.ratio * 100)}%`;
    $("#zoom-value").textContent = percent;
    $("#zoom-value").setAttribute("aria-label", say("zoom.actual", { percent }));
    app.compare?.moved();
    app.input?.brushChanged();
  });
  app.compare = createCompare($("#divider"), stage, app.view);
  app.undoing = createUndo(() => showSteps());
  const showSteps = () => {
    $("#undo").disabled = app.locked() ? document.body.dataset.mode !== "result" : !app.undoing.canUndo;
    $("#redo").disabled = !app.undoing.canRedo || app.locked();
  };
  const tools = createTools(app.view, brush);
  app.locked = () => !app.photo || document.body.dataset.mode === "painting" || Boolean(app.results?.viewing);
  app.input = createInput(stage, app.view, tools, brush, {
    tool: () => toolName,
    locked: app.locked,
    stroke: (change) => changed(change),
    penSaid: (down) => announce(say(down ? "said.pen.down" : "said.pen.up")),
  });
  function changed(change) {
    showHint();
    app.draft.changed();
    app.undoing.mask(() => app.mask, change, () => {
      app.view.maskChanged();
      app.draft.changed();
      showHint();
    });
    app.view.maskChanged();
  }

  // For who sees the page for the first time: what to do now, while nothing is masked.
  let hint = "hint.brush";
  function showHint() {
    $("#hint").hidden = document.body.dataset.mode !== "edit" || !app.mask.empty();
    $("#hint").textContent = say(hint);
  }

  app.tool = (name) => {
    app.input.settle();
    app.results.edit();
    toolName = name;
    const button = $(`#tools [data-tool=${name}]`);
    press($$("#tools [data-tool]"), button);
    document.body.dataset.tool = name;
    announce(button.getAttribute("aria-label"));
  };
  app.brushBy = (factor) => {
    const next = Math.round(brush.size * factor);
    setBrush(Math.min(brush.longest, Math.max(2, next === brush.size ? next + Math.sign(factor - 1) : next)));
  };
  function setBrush(size) {
    brush.size = size;
    $("#size").value = size;
    app.input.brushChanged();
  }
  app.maskCommand = async (name) => {
    if (!app.photo || document.body.dataset.mode === "painting") return;
    app.results.edit();
    app.input.settle();
    const step = Math.max(2, Math.round(Math.max(app.photo.width, app.photo.height) / 200));
    const commands = {
      invert: () => app.mask.invert(), all: () => app.mask.all(), clear: () => app.mask.clear(),
      grow: () => app.mask.grow(step), shrink: () => app.mask.shrink(step),
    };
    if (commands[name]) changed(commands[name]());
    else if (name === "import") $("#mask-file").click();
    else if (name === "export") save(await toBlob(app.mask.export()), "mask.png");
  };
  app.undo = async () => {
    if (app.results.viewing && !app.painting.running) {
      app.results.edit(); // what is undone here is looking at the result
      return announce(say("original"));
    }
    if (app.locked()) return;
    app.input.settle();
    if (await app.undoing.undo()) announce(say("said.undo"));
  };
  app.redo = async () => {
    if (app.locked()) return;
    if (await app.undoing.redo()) announce(say("said.redo"));
  };

  // ---- what the page is doing: "empty", "edit" or "painting"; "result" when a result is looked at ----
  let current = "empty";
  app.mode = (name) => {
    current = name;
    app.showMode();
  };
  app.showMode = () => {
    const painting = current === "painting";
    document.body.dataset.mode = current === "edit" && app.results?.viewing ? "result" : current;
    $("#progress").hidden = $("#status").hidden = $("#cancel").hidden = !painting;
    $("#prompt").hidden = $("#paint").hidden = painting;
    $("#welcome").hidden = current !== "empty";
    $("#tools").inert = painting || current === "empty";
    $("#download").disabled = current === "empty" || painting;
    for (const button of $$("#results button")) if (painting) button.disabled = true;
    if (!painting) for (const button of $$("#again, #discard, #side-by-side, #strip button")) button.disabled = false;
    showSteps();
    showHint();
  };

  // ---- photos ----
  function take(photo, key, maskBytes) {
    app.photo = photo;
    app.photoKey = key;
    app.mask = createMask(photo.width, photo.height);
    if (maskBytes) app.mask.put(app.mask.whole, maskBytes);
    app.view.show(photo, app.mask);
    app.mode("edit");
    const longest = Math.max(photo.width, photo.height), before = brush.longest;
    brush.longest = Math.max(60, Math.round(longest / 2.5));
    $("#size").max = brush.longest;
    if (brush.longest !== before) setBrush(Math.max(8, Math.round(longest / 12)));
    app.draft.changed();
  }
  // Everything that another photo would replace, and the way back to it.
  const state = () => ({ blob: app.photo.blob, key: app.photoKey, mask: pack(app.mask.alpha), size: app.mask.alpha.length });
  async function restore({ blob, key, mask, size }) {
    app.results.close();
    take(await openPhoto(blob), key, unpack(mask, size));
  }
  function undoable(old) {
    const now = state();
    app.undoing.action(() => restore(old), () => restore(now));
  }
  async function openBlob(blob, key = newKey()) {
    if (app.painting.running) return toast(say("error.busy"), { error: true });
    let photo;
    try {
      photo = await openPhoto(blob);
    } catch {
      toast(say("error.picture"), { error: true });
      return false;
    }
    app.input.settle();
    app.results.close();
    toastGone();
    hint = "hint.brush";
    const old = app.photo && state();
    take(photo, key);
    if (old) undoable(old);
    if (photo.scaled) toast(say("error.scaled", photo));
    announce(say("said.opened", photo));
    return true;
  }
  // The photo becomes what was painted; this can be undone.
  app.replacePhoto = async (blob) => {
    const old = state();
    hint = "hint.next";
    take(await openPhoto(blob), newKey());
    undoable(old);
  };
  async function openMask(blob) {
    try {
      changed(app.mask.load(await decode(blob)));
      announce(say("said.mask"));
    } catch {
      toast(say("error.picture"), { error: true });
    }
  }
  async function openSample(sample) {
    const get = async (path) => (await fetch(path)).blob();
    if (!await openBlob(await get(`/samples/${sample.photo}`))) return;
    if (sample.mask) await openMask(await get(`/samples/${sample.mask}`));
    $("#prompt").value = sample.prompt;
  }
  // Something of the history: its photo and mask, its results, its settings.
  async function openEntry(entry) {
    if (app.painting.running) return toast(say("error.busy"), { error: true });
    const blob = entry.photo === app.photoKey ? null : await app.history.photo(entry.photo);
    if (entry.photo !== app.photoKey && !(blob && await openBlob(blob, entry.photo))) return;
    app.results.close();
    app.closePanel();
    const mask = await decode(entry.mask);
    changed(app.mask.load(mask));
    $("#prompt").value = entry.prompt;
    app.form.restore({ ...entry.settings, model: entry.model, area: entry.how.area, size: entry.how.size });
    const request = { ...await prepare(app.photo, app.mask, entry.how), ...entry.request };
    if (entry.status === "running") return app.painting.resume(entry, request);
    if (entry.outputs.length) app.results.show(entry, request, entry.outputs, await Promise.all(entry.outputs.map(decode)));
  }

  // ---- the rest ----
  app.results = createResults(app);
  app.painting = createPainting(app);
  app.draft = createDraft(() => ({ photo: app.photo, photoKey: app.photoKey, mask: app.mask, prompt: $("#prompt").value }));
  app.history = createHistory(openEntry, () => app.draft.clear());
  app.code = createCode(
    () => app.form.version(),
    () => ({ prompt: $("#prompt").value.trim(), ...app.form.look() }),
    async () => {
      if (!app.photo) {
        toast(say("error.nophoto"), { error: true });
        return null;
      }
      const request = await prepare(app.photo, app.mask, { area: app.form.value("area"), size: app.form.value("size"), inverted: false });
      if (!request) toast(say("error.nomask"), { error: true });
      return request;
    });
  bindKeys(app);

  for (const button of $$("#tools [data-tool]")) {
    button.addEventListener("click", (event) => {
      app.tool(button.dataset.tool);
      if (event.detail) stage.focus({ focusVisible: false }); // by pointer: the keys are for the photo now
    });
  }
  menu($("#mask-menu"));
  menu($("#download-menu"));
  for (const item of $$("[data-mask]")) item.addEventListener("click", () => app.maskCommand(item.dataset.mask));
  for (const item of $$("[data-format]")) item.addEventListener("click", () => app.results.download(item.dataset.format));
  const clicks = {
    "#copy": () => app.results.copy(), "#undo": app.undo, "#redo": app.redo, "#cancel": () => app.painting.cancel(),
    "#zoom-in": () => app.view.zoomBy(1.25), "#zoom-out": () => app.view.zoomBy(0.8), "#zoom-fit": app.view.fit, "#zoom-value": app.view.actual,
  };
  for (const [selector, run] of Object.entries(clicks)) $(selector).addEventListener("click", run);
  $("#size").addEventListener("input", (event) => {
    setBrush(Number(event.target.value));
    app.input.showBrush(true);
  });
  for (const end of ["change", "blur", "pointerup"]) $("#size").addEventListener(end, () => app.input.showBrush(false));
  $("#soft").addEventListener("input", (event) => {
    brush.soft = Number(event.target.value) / 100;
    store.set("soft", Number(event.target.value));
  });
  $("#mask-file").addEventListener("change", (event) => {
    if (event.target.files[0]) openMask(event.target.files[0]);
    event.target.value = "";
  });
  $("#prompt").addEventListener("input", () => {
    app.code.show();
    app.draft.changed();
  });

  $("#soft").value = brush.soft * 100;
  app.code.show();
  app.tool("brush");
  const entries = await app.history.load();
  return {
    open: openBlob, sample: openSample, paint: () => app.painting.start(), settingsChanged: app.code.show,
    // What was worked on when the page was closed.
    async goOn() {
      const draft = await app.draft.load();
      if (!draft || !await openBlob(draft.blob, draft.photo)) return;
      if (draft.mask?.length === app.mask.alpha.length) changed(app.mask.replace(draft.mask));
      $("#prompt").value = draft.prompt;
    },
    resume() {
      const running = entries.find((entry) => entry.status === "running");
      if (running) return openEntry(running);
      store.remove("running");
    },
    // What /p/ID names: of this browser's history, or as far as the server tells it.
    async show(id) {
      const entry = entries.find((other) => other.key === id);
      if (entry) return openEntry(entry);
      try {
        const { output, input } = await api.get(id);
        if (!output?.length) return toast(say("error.unfinished"), { error: true });
        if (!await openBlob(await api.output(output[0]))) return;
        $("#prompt").value = input.prompt ?? "";
        toast(say("said.prediction"));
      } catch (error) {
        toast(error.message, { error: true });
      }
    },
  };
}
