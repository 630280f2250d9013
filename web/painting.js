// One painting: send it, show how it forms, take the results or say what went wrong.
import { $, announce, toast, toastGone, canvas, toBlob, store } from "./dom.js";
import { say } from "./strings.js";
import * as api from "./api.js";
import { prepare, patchOf, dataUri } from "./request.js";
import { decode } from "./canvas/photo.js";

const PREVIEW_SIDE = 640;

export function createPainting(app) {
  const { view } = app;
  let controller = null; // while something is under way
  let id = null;         // of the prediction, once the server has given one
  let clock = null;      // {step, time} of the first step seen
  let said = 0;
  let queue = "";        // what was last known of the place in it

  function status(text, share) {
    $("#status").textContent = text;
    const bar = $("#progress");
    if (share === undefined) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", Math.round(share * 100));
    bar.setAttribute("aria-valuetext", text);
    bar.classList.toggle("unknown", share === undefined);
    document.title = share === undefined ? say("title") : say("title.percent", { n: Math.round(share * 100) });
    $("span", bar).style.transform = `scaleX(${share ?? 0.3})`;
  }
  const duration = (seconds) => (seconds < 90 ? say("seconds", { n: Math.max(1, Math.round(seconds)) }) : say("minutes", { n: Math.round(seconds / 60) }));

  function update(prediction, { step, steps }) {
    if (prediction.status === "starting") {
      if (!clock) status(queue || say("status.starting"));
      return;
    }
    if (step === null || prediction.status !== "processing") return status(say("status.starting"));
    const now = performance.now();
    if (!clock || step < clock.step) clock = { step, time: now };
    if (step >= steps) return status(say("status.finishing"), 1);
    const each = step > clock.step ? (now - clock.time) / (step - clock.step) / 1000 : null;
    status(each ? say("status.left", { step, steps, left: duration(each * (steps - step)) }) : say("status.step", { step, steps }), step / steps);
    const quarter = Math.floor((4 * step) / steps);
    if (quarter > said) {
      said = quarter;
      announce(say("said.percent", { n: quarter * 25 }));
    }
  }
  const place = (n) => {
    queue = n ? say("status.queue", { n }) : say("status.next");
    status(queue);
  };

  function begin(text) {
    controller = new AbortController();
    id = clock = null;
    said = 0;
    queue = "";
    toastGone();
    status(text);
    app.results.await(app.form.value("num_outputs") ?? 1);
    app.mode("painting");
    $("#cancel").focus();
  }
  function end() {
    controller = null;
    id = null;
    view.setPatch(null);
    view.setMaskVisible(true);
    document.title = say("title");
    app.results.awaited();
    app.mode("edit");
    $("#paint").focus(); // where it was; the button that had the focus is gone
  }
  function failed(error) {
    end();
    if (error.name === "AbortError") return announce(say("said.canceled"));
    if (!(error instanceof api.ApiError)) console.error(error);
    toast(error instanceof api.ApiError ? error.message : say("error.failed", { detail: error.message }), { error: true });
  }

  async function thumbnail(bitmap) {
    const side = 144, scale = Math.max(side / bitmap.width, side / bitmap.height);
    const small = canvas(side, side);
    const context = small.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, (side - bitmap.width * scale) / 2, (side - bitmap.height * scale) / 2, bitmap.width * scale, bitmap.height * scale);
    return toBlob(small, "image/jpeg", 0.8);
  }

  // Follow a prediction that the server has, to its end.
  async function watch(prediction, entry, request) {
    id = prediction.id;
    store.set("running", true); // a reload takes it up again
    const final = await api.follow(prediction, {
      update, place, signal: controller.signal,
      picture: async (blob) => {
        const bitmap = await decode(blob);
        if (!controller) return;
        view.setPatch(patchOf(bitmap, request, PREVIEW_SIDE));
        view.setMaskVisible(false); // the picture shows where
      },
    });
    store.remove("running");
    const { seed, flagged } = api.readLogs(final.logs);
    if (final.status === "succeeded") {
      status(say("status.finishing"), 1);
      const outputs = await Promise.all(final.output.map((url) => api.output(url, controller.signal)));
      const bitmaps = await Promise.all(outputs.map(decode));
      await app.history.change(entry, { status: "succeeded", outputs, seed, thumbnail: await thumbnail(bitmaps[0]) });
      end();
      app.form.seedUsed(seed);
      app.results.show(entry, request, outputs, bitmaps);
      if (document.hidden) document.title = say("title.done"); // for who looks at another tab meanwhile
      announce(outputs.length === 1 ? say("said.done.one") : say("said.done.many", { n: outputs.length }));
      if (flagged) toast(say("said.flagged", { n: flagged }));
      return;
    }
    const canceled = final.status === "canceled" || final.status === "aborted";
    await app.history.change(entry, { status: canceled ? "canceled" : "failed" });
    end();
    if (canceled) return toast(say("said.canceled"));
    toast(/NSFW/.test(final.error) ? say("error.nsfw") : say("error.failed", { detail: final.error ?? "" }), { error: true });
  }

  document.addEventListener("visibilitychange", () => { if (!controller) document.title = say("title"); });

  return {
    get running() { return controller !== null; },
    async start({ roll = false } = {}) {
      if (controller) return;
      if (!app.photo) return toast(say("error.nophoto"), { error: true });
      app.results.edit();
      const how = { area: app.form.value("area"), size: app.form.value("size"), inverted: Boolean(app.form.value("invert_mask")) };
      if (!how.inverted && !app.mask.bounds()) {
        toast(say("error.nomask"), { error: true });
        return $("#stage").focus();
      }
      begin(say("status.preparing"));
      try {
        const request = await prepare(app.photo, app.mask, how);
        if (!request) {
          end();
          return toast(say("error.nomask"), { error: true });
        }
        const settings = app.form.take({ roll });
        const prompt = $("#prompt").value.trim();
        status(say("status.sending"));
        const [image, mask] = await Promise.all([dataUri(request.image), dataUri(request.mask)]);
        const prediction = await api.create(app.form.version(), { prompt, ...settings, image, mask }, controller.signal);
        announce(say("said.started"));
        const { region, scale, width, height } = request;
        const entry = { key: prediction.id, created: Date.now(), status: "running", prompt, settings, how, model: app.form.value("model"), photo: app.photoKey,
          mask: await toBlob(app.mask.export()), request: { region, scale, width, height }, outputs: [], thumbnail: null };
        await app.history.add(entry, app.photo.blob);
        await watch(prediction, entry, request);
      } catch (error) {
        failed(error);
      }
    },
    // A painting that was under way when the page was closed.
    async resume(entry, request) {
      if (controller) return;
      begin(say("status.starting"));
      try {
        await watch(await api.get(entry.key, controller.signal), entry, request);
      } catch (error) {
        if (error.status === 404) await app.history.change(entry, { status: "failed" });
        failed(error);
      }
    },
    async cancel() {
      if (!controller) return;
      status(say("status.canceling"));
      if (!id) return controller.abort();
      try {
        await api.cancel(id);
      } catch (error) {
        toast(error.message, { error: true });
      }
    },
  };
}
