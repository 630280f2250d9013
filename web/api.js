// The prediction service at this page's own origin.
import { say } from "./strings.js";
import { store } from "./dom.js";

// The model that this server stands for answers to this version whatever else it lists.
export const VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180";
const ENDED = ["succeeded", "failed", "canceled", "aborted"];

// A failure in words that say what to do; status 0 is no answer at all.
export class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

let token = store.get("token", "");
let wantToken = null; // async () -> token or null, asked when the server wants one

export function setToken(value, keep) {
  token = value;
  if (keep) store.set("token", value);
  else store.remove("token");
}
export const onTokenWanted = (ask) => { wantToken = ask; };
export const hasToken = () => token !== "";

async function call(path, { method = "GET", body, signal, as = "json", asked = false } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, say("error.network"));
  }
  if (answer.status === 401 && wantToken && !asked) {
    if (await wantToken()) return call(path, { method, body, signal, as, asked: false });
  }
  if (!answer.ok) throw await problem(answer);
  return as === "blob" ? answer.blob() : answer.json();
}

async function problem(answer) {
  let detail = "";
  try {
    const body = await answer.json();
    detail = String(body.detail ?? body.error ?? "").trim().replace(/^- (input\.?)?/gm, "").replace(/\n/g, "; ");
  } catch { /* not JSON: the status has to do */ }
  detail ||= `${answer.status} ${answer.statusText}`;
  if (answer.status === 404) return new ApiError(404, say("error.gone"));
  if (answer.status === 413) return new ApiError(413, say("error.large"));
  return new ApiError(answer.status, say(answer.status < 500 ? "error.input" : "error.server", { detail }));
}

export const openapi = () => call("/openapi.json");
export const create = (version, input, signal) => call("/v1/predictions", { method: "POST", body: { version: version ?? VERSION, input }, signal });
export const get = (id, signal) => call(`/v1/predictions/${id}`, { signal });
export const cancel = (id) => call(`/v1/predictions/${id}/cancel`, { method: "POST" });
export const preview = (id, signal) => call(`/v1/predictions/${id}/preview`, { as: "blob", signal });
export const ended = (prediction) => ENDED.includes(prediction.status);

// An output by its URL. Servers behind another name may say a host that is not ours: only the path counts.
export async function output(url, signal) {
  const place = url.startsWith("data:") ? url : new URL(url).pathname + new URL(url).search;
  return call(place, { as: "blob", signal });
}

// How many predictions that are not ended were made before this one.
export async function before(prediction, signal) {
  const { results } = await call("/v1/predictions", { signal });
  return results.filter((other) => other.id !== prediction.id && !ended(other) && other.created_at < prediction.created_at).length;
}

// The seed and the last progress line of a log: {seed, step, steps}.
export function readLogs(logs) {
  const seed = /^Using seed: (\d+)/m.exec(logs ?? "");
  const lines = [...(logs ?? "").matchAll(/^\s*\d+%\s*\|.*?\|\s*(\d+)\/(\d+)/gm)];
  const last = lines.at(-1);
  const flagged = /NSFW content detected in (\d+) output/.exec(logs ?? "");
  return { seed: seed ? Number(seed[1]) : null, step: last ? Number(last[1]) : null, steps: last ? Number(last[2]) : null,
    flagged: flagged ? Number(flagged[1]) : 0 };
}

// Watch a prediction until it ends; returns it. update(prediction, {step, steps}) whenever there is news,
// picture(blob) for previews, place(n) while it waits. By events where the server streams them, else by asking.
export async function follow(prediction, watcher) {
  const waiting = setInterval(() => {
    if (!moved) before(prediction, watcher.signal).then(watcher.place, () => {});
  }, 1500);
  let moved = false;
  const update = (now) => {
    const progress = readLogs(now.logs);
    moved ||= now.status !== "starting";
    watcher.update(now, progress);
    return progress;
  };
  update(prediction);
  try {
    if (!ended(prediction) && prediction.urls?.stream && await streamed(prediction, watcher, update)) {
      const final = await get(prediction.id, watcher.signal);
      if (ended(final)) return final;
    }
    return await asked(prediction, watcher, update);
  } finally {
    clearInterval(waiting);
  }
}

// True when the stream came to its end, false when it can't be had.
function streamed(prediction, { picture, signal }, update) {
  return new Promise((resolve, reject) => {
    const url = new URL(prediction.urls.stream);
    url.searchParams.set("logs", "1");
    url.searchParams.set("previews", "1");
    const source = new EventSource(url.pathname + url.search);
    const now = { ...prediction, logs: "" };
    let failures = 0;
    const end = (result) => {
      source.close();
      resolve(result);
    };
    source.addEventListener("logs", ({ data }) => {
      failures = 0;
      now.status = "processing";
      now.logs += `${data}\n`;
      update(now);
    });
    source.addEventListener("preview", ({ data }) => { output(data, signal).then(picture, () => {}); }); // an older one may be gone
    source.addEventListener("done", () => end(true));
    source.addEventListener("error", (event) => {
      // Of the connection; one that the server sends has data, and "done" after it.
      if (event.data === undefined && (source.readyState === EventSource.CLOSED || ++failures > 3)) end(false);
    });
    signal.addEventListener("abort", () => {
      source.close();
      reject(signal.reason);
    }, { once: true });
  });
}

async function asked(prediction, { picture, signal }, update) {
  let seen = -1, failures = 0;
  for (let now = prediction, looks = 0; ; looks++) {
    const { step } = update(now);
    if (ended(now)) return now;
    if (step !== null && step !== seen) {
      seen = step;
      preview(now.id, signal).then(picture, () => {});
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(300 + 20 * looks, document.hidden ? 2000 : 700)));
    signal.throwIfAborted();
    try {
      now = await get(prediction.id, signal);
      failures = 0;
    } catch (error) {
      // A hiccup of the network is no reason to lose sight of a painting.
      if (error.name === "AbortError" || (error.status && error.status < 500) || ++failures > 8) throw error;
    }
  }
}
