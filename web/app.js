// The page before a photo: words, settings, dialogs, ways to open one. What edits it comes with the first photo.
import { $, $$, make, toast, toastGone, store } from "./dom.js";
import { say, dress } from "./strings.js";
import { createForm, ofDocument } from "./form.js";
import { createPanel, bindTheme, bindDialogs } from "./panel.js";
import { createSuggest } from "./suggest.js";
import { samples } from "./samples.js";
import { openapi } from "./api.js";

dress(document);
bindTheme();
bindDialogs();

let loading = null;
let editor = null;
function edit() {
  loading ??= import("./editor.js").then(async ({ startEditor }) => (editor = await startEditor({ form, closePanel })));
  return loading;
}

const form = createForm($("#form"), createSuggest(), () => editor?.settingsChanged());
const closePanel = createPanel((tab) => { if (tab !== "settings") edit(); });
const open = async (file) => { if (file) (await edit()).open(file); };

$("#toast button").addEventListener("click", toastGone);
$("#composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (editor) editor.paint();
  else toast(say("error.nophoto"), { error: true });
});

// Files: picker, camera, drop, paste, samples.
for (const [buttons, input] of [["#open, #welcome-open", "#file"], ["#welcome-camera", "#camera"]]) {
  for (const button of $$(buttons)) button.addEventListener("click", () => $(input).click());
  $(input).addEventListener("change", (event) => {
    open(event.target.files[0]);
    event.target.value = "";
  });
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragging"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  open([...event.dataTransfer.files][0]);
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (!file) return;
  event.preventDefault();
  open(file);
});
$("#samples").append(...samples.map((sample) => make("button", { "aria-label": say("sample", sample), title: say("sample", sample), on: { click: async () => (await edit()).sample(sample) } },
  make("img", { src: `/samples/${sample.photo}`, alt: "", width: 96, height: 96, loading: "lazy" }))));

const draft = store.get("draft", null);
if (typeof draft === "string") {
  $("#go-on img").src = draft;
  $("#go-on").hidden = false;
  $("#go-on").addEventListener("click", async () => (await edit()).goOn());
}

form.build();
document.body.classList.remove("loading");
openapi().then((document) => form.build(...ofDocument(document)), () => {}); // without it: what the form knows by itself

const named = /^\/p\/(\w+)$/.exec(location.pathname);
if (named) (await edit()).show(named[1]);
// A painting was under way when the page was closed: show it.
else if (store.get("running", false)) (await edit()).resume();
