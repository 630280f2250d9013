// What came back: choose one, compare it with the original, keep it, download it.
import { $, $$, make, canvas, toBlob, save, toast, press, announce } from "./dom.js";
import { say } from "./strings.js";
import { patchOf, merged } from "./request.js";

const BESIDE_SIDE = 900;

export function createResults(app) {
  const { view, compare } = app;
  let shown = null;  // {entry, patches}
  let selected = -1; // -1: the original, with its mask
  let beside = false;

  function picture(index, longest) {
    const { photo } = app;
    const scale = Math.min(1, longest / Math.max(photo.width, photo.height));
    const small = canvas(photo.width * scale, photo.height * scale);
    const context = small.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(photo.levels.findLast((level) => level.width >= small.width) ?? photo.canvas, 0, 0, small.width, small.height);
    const patch = shown.patches[index];
    if (patch) context.drawImage(patch.levels[0], patch.x * scale, patch.y * scale, patch.width * scale, patch.height * scale);
    return small;
  }
  const name = (index) => (index < 0 ? say("original") : say("result", { n: index + 1 }));
  const indices = () => [-1, ...shown.patches.keys()];

  function select(index) {
    selected = index;
    view.setPatch(shown?.patches[index] ?? null);
    view.setMaskVisible(index < 0);
    if (index < 0) compare.set(false);
    press($$("#strip button"), $(`#strip button[data-index="${index}"]`));
    $("#compare").setAttribute("aria-pressed", String(compare.on));
    for (const id of ["compare", "keep"]) $(`#${id}`).disabled = index < 0;
    app.showMode();
  }
  function setBeside(next) {
    beside = next;
    $("#side-by-side").setAttribute("aria-pressed", String(next));
    const root = $("#beside");
    root.hidden = !next;
    root.replaceChildren(...(next ? indices().map((index) => make("button", { "aria-label": name(index), on: { click: () => { setBeside(false); select(index); } } },
      picture(index, BESIDE_SIDE), make("span", { text: name(index) }))) : []));
    if (next) $("button", root)?.focus({ preventScroll: true });
  }
  function close() {
    if (!shown) return;
    setBeside(false);
    shown = null;
    $("#results").hidden = true;
    $("#strip").replaceChildren();
    select(-1);
  }

  $("#compare").addEventListener("click", () => {
    setBeside(false);
    compare.set(!compare.on);
    $("#compare").setAttribute("aria-pressed", String(compare.on));
    if (compare.on) $("#divider").focus();
  });
  $("#side-by-side").addEventListener("click", () => setBeside(!beside));
  $("#again").addEventListener("click", () => app.painting.start({ roll: true }));
  $("#discard").addEventListener("click", () => {
    close();
    $("#stage").focus();
  });
  $("#keep").addEventListener("click", async () => {
    const blob = await toBlob(merged(app.photo, shown.patches[selected]));
    close();
    await app.replacePhoto(blob);
    announce(say("said.kept"));
    $("#stage").focus();
  });

  const finished = () => merged(app.photo, shown?.patches[selected] ?? null);
  const fileName = (type) => `inpaintd-${shown?.entry.seed ?? "photo"}${selected > 0 ? `-${selected + 1}` : ""}.${type.split("/")[1].replace("jpeg", "jpg")}`;

  return {
    get viewing() { return shown !== null && selected >= 0; },
    show(entry, request, outputs, bitmaps) {
      shown = { entry, patches: bitmaps.map((bitmap) => patchOf(bitmap, request)) };
      $("#results").hidden = false;
      $("#strip").replaceChildren(...indices().map((index) => make("button", { "data-index": index, "aria-label": name(index), title: name(index), on: { click: () => { setBeside(false); select(index); } } },
        picture(index, 160))));
      select(0);
      $('#strip [data-index="0"]').focus();
    },
    // A painting has begun: make room for n pictures, so that the photo stays where it is when they come.
    await(n) {
      if (shown) return;
      $("#results").hidden = false;
      $("#strip").replaceChildren(...Array.from({ length: n + 1 }, () => make("span", { class: "coming" })));
    },
    // It has ended; what it brought, if anything, is shown next.
    awaited() {
      if (!shown) $("#results").hidden = true;
    },
    // Back to the original and its mask; the results stay in the strip.
    edit() {
      setBeside(false);
      if (selected >= 0) select(-1);
    },
    close,
    escape() {
      if (beside) setBeside(false);
      else if (compare.on) $("#compare").click();
      else return false;
      return true;
    },
    async download(type) {
      const blob = await toBlob(finished(), type);
      if (blob.type !== type) toast(say("error.webp"));
      save(blob, fileName(blob.type));
    },
    async copy() {
      try {
        await navigator.clipboard.write([new ClipboardItem({ "image/png": toBlob(finished()) })]);
        toast(say("said.copied"));
      } catch {
        toast(say("error.clipboard"), { error: true });
      }
    },
  };
}
