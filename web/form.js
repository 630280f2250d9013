// The settings, made from the input schema in /openapi.json: every field of the model gets a control,
// known ones in plain words (strings.js), others in the schema's own.
import { make, icon, store } from "./dom.js";
import { say, words } from "./strings.js";

// Made by the page itself, elsewhere.
const ELSEWHERE = ["prompt", "image", "mask"];
// Of the page's own two settings; a model's hints say otherwise.
const SIZE = 512;
const SIZES = [256, 384, 512, 768, 1024, 0];
// Comfortable ends of a slider; the number beside it takes the schema's whole range.
const COMFORT = { num_inference_steps: 100 };

// What the form falls back on when the server can't be asked.
const FALLBACK = {
  negative_prompt: { type: "string", default: "" },
  num_outputs: { type: "integer", default: 1, minimum: 1, maximum: 4 },
  num_inference_steps: { type: "integer", default: 50, minimum: 1, maximum: 500 },
  guidance_scale: { type: "number", default: 7.5, minimum: 1, maximum: 20 },
  seed: { type: "integer" },
  invert_mask: { type: "boolean", default: false },
};

// build()'s arguments from /openapi.json.
export const ofDocument = ({ components, "x-hints": hints }) =>
  [components?.schemas?.Input?.properties, hints, modelsOf(components?.schemas?.VersionName?.enum)];

// The models that a server paints with, each with its newest version, from "owner/name:version" and other ways to
// name them. The first one is the default.
function modelsOf(names) {
  const models = new Map();
  for (const name of Array.isArray(names) ? names : []) {
    const [model, version] = String(name).split(":");
    if (version && !models.has(model)) models.set(model, version);
  }
  return models;
}

// offer(words): what the model knows best; changed(): after every change of a setting.
export function createForm(root, offer, changed) {
  let properties = FALLBACK;
  let given = {};    // {size, input: {field: default}, words} as the default model has them
  let hints = given; // of the model that is chosen
  let models = new Map();
  let values = { ...store.get("settings", {}) };
  let keepSeed = store.get("keepSeed", false);
  const controls = {}; // name -> show(value)

  const fallback = (name) => {
    if (name === "model") return models.keys().next().value ?? null;
    if (name === "area") return "auto";
    if (name === "size") return Number.isInteger(hints.size) ? hints.size : SIZE;
    return hints.input?.[name] ?? properties[name]?.default ?? null;
  };
  const value = (name) => (name === "model" && !models.has(values.model) ? null : values[name]) ?? fallback(name);
  const set = (name, next) => {
    if (next === null || next === fallback(name)) delete values[name];
    else values[name] = next;
    store.set("settings", { ...values, seed: keepSeed ? values.seed : undefined });
    controls[name]?.(value(name));
    if (name === "model") rebuild();
    changed();
  };

  const title = (name, schema) => (words[`field.${name}`] ? say(`field.${name}`) : schema.title ?? name);
  const note = (name, schema) => (words[`field.${name}.note`] ? say(`field.${name}.note`, { n: fallback(name) }) : schema.description ?? "");
  function field(name, label, text, ...inputs) {
    const id = `f-${name}`;
    return make("div", { class: "field" }, make("label", { for: id, text: label }), make("div", { class: "inputs" }, ...inputs),
      text && make("p", { class: "faint", id: `${id}-note`, text }));
  }

  function textField(name, schema) {
    const input = make("input", { id: `f-${name}`, type: "text", maxlength: 2000, "aria-describedby": `f-${name}-note`, on: { input: () => set(name, input.value) } });
    controls[name] = (now) => { if (input.value !== String(now ?? "")) input.value = now ?? ""; };
    return field(name, title(name, schema), note(name, schema), input);
  }
  function choiceField(name, label, text, choices) {
    const select = make("select", { id: `f-${name}`, "aria-describedby": text ? `f-${name}-note` : null,
      on: { change: () => set(name, choices.find(([key]) => String(key) === select.value)[0]) } },
    ...choices.map(([key, words]) => make("option", { value: key, text: words })));
    controls[name] = (now) => { select.value = String(now); };
    return field(name, label, text, select);
  }
  function checkField(name, schema) {
    const input = make("input", { id: `f-${name}`, type: "checkbox", on: { change: () => set(name, input.checked) } });
    controls[name] = (now) => { input.checked = Boolean(now); };
    return make("div", { class: "field" }, make("label", { class: "check" }, input, make("span", { text: title(name, schema) })),
      make("p", { class: "faint", text: note(name, schema) }));
  }
  // A short range of whole numbers: one button each.
  function segmentField(name, schema) {
    const group = make("div", { class: "segments", role: "radiogroup", "aria-labelledby": `f-${name}-label` });
    for (let n = schema.minimum; n <= schema.maximum; n++) {
      group.append(make("label", {}, make("input", { type: "radio", name: `f-${name}`, value: n, on: { change: () => set(name, n) } }), make("span", { text: n })));
    }
    controls[name] = (now) => { for (const input of group.querySelectorAll("input")) input.checked = Number(input.value) === now; };
    return make("div", { class: "field" }, make("span", { class: "label", id: `f-${name}-label`, text: title(name, schema) }), group,
      make("p", { class: "faint", text: note(name, schema) }));
  }
  function numberField(name, schema) {
    const whole = schema.type === "integer";
    const bounded = schema.maximum - schema.minimum <= 1e4; // a slider over more could not be set
    const clamp = (text) => {
      const parsed = whole ? Math.round(Number(text)) : Number(text);
      if (text === "" || !Number.isFinite(parsed)) return null;
      return Math.min(schema.maximum ?? Infinity, Math.max(schema.minimum ?? -Infinity, parsed));
    };
    const number = make("input", { id: `f-${name}`, type: "number", inputmode: whole ? "numeric" : "decimal", min: schema.minimum, max: schema.maximum,
      step: whole ? 1 : "any", placeholder: say(name === "seed" ? "form.seed.blank" : "form.blank"), "aria-describedby": `f-${name}-note`, on: { change: () => set(name, clamp(number.value)) } });
    const slider = bounded && make("input", { type: "range", min: schema.minimum, max: Math.min(schema.maximum, COMFORT[name] ?? Infinity), step: whole ? 1 : 0.5,
      "aria-label": title(name, schema), on: { input: () => set(name, Number(slider.value)) } });
    controls[name] = (now) => {
      number.value = now ?? "";
      if (slider) slider.value = now;
    };
    return field(name, title(name, schema), note(name, schema), slider || null, number);
  }
  function seedField(name, schema) {
    const base = numberField(name, schema);
    const roll = make("button", { type: "button", class: "icon", "aria-label": say("form.seed.roll"), title: say("form.seed.roll"), on: { click: () => set("seed", newSeed()) } }, icon("dice"));
    const keep = make("input", { type: "checkbox", id: "f-keep-seed", on: { change: () => { keepSeed = keep.checked; store.set("keepSeed", keepSeed); set("seed", values.seed ?? null); } } });
    keep.checked = keepSeed;
    base.querySelector(".inputs").append(roll);
    base.append(make("label", { class: "check" }, keep, make("span", { text: say("form.seed.keep") })));
    base.querySelector("input[type=number]").addEventListener("change", (event) => {
      if (event.target.value === "" || keep.checked) return;
      keep.click(); // a seed typed in is meant
    });
    return base;
  }
  function control(name, schema) {
    const type = schema.enum ? "enum" : schema.type;
    if (name === "seed") return seedField(name, schema);
    if (type === "enum") return choiceField(name, title(name, schema), note(name, schema), schema.enum.map((key) => [key, String(key)]));
    if (type === "boolean") return checkField(name, schema);
    if (type === "integer" && schema.maximum - schema.minimum <= 5) return segmentField(name, schema);
    if (type === "integer" || type === "number") return numberField(name, schema);
    return textField(name, schema);
  }

  function build(next = FALLBACK, nextHints = {}, nextModels = new Map()) {
    const same = (...one) => JSON.stringify(one);
    if (root.firstChild && same(next, nextHints, [...nextModels]) === same(properties, given, [...models])) return;
    properties = next;
    given = nextHints;
    models = nextModels;
    rebuild();
  }
  function rebuild() {
    const focused = root.contains(document.activeElement) ? document.activeElement.id : null;
    hints = value("model") === fallback("model") ? given : {};
    const sizes = [...new Set([...SIZES, fallback("size")])].sort((a, b) => (a || Infinity) - (b || Infinity));
    offer(hints.words);
    const names = Object.keys(properties).filter((name) => !ELSEWHERE.includes(name))
      .sort((a, b) => (properties[a]["x-order"] ?? 99) - (properties[b]["x-order"] ?? 99));
    // What most people want first is first; a yes or no is last.
    const first = names.filter((name) => properties[name].type !== "boolean"), last = names.filter((name) => properties[name].type === "boolean");
    root.replaceChildren(
      ...(models.size > 1 ? [choiceField("model", say("form.model"), "", [...models.keys()].map((name) => [name, name]))] : []),
      ...first.map((name) => control(name, properties[name])),
      choiceField("area", say("form.area"), say("form.area.note"), [["auto", say("form.area.auto")], ["whole", say("form.area.whole")]]),
      choiceField("size", say("form.size"), say("form.size.note", { n: fallback("size") }), sizes.map((n) => [n, n ? say("form.size.pixels", { n }) : say("form.size.full")])),
      ...last.map((name) => control(name, properties[name])),
      make("div", { class: "row" },
        make("button", { type: "button", id: "reset", text: say("form.reset"), on: { click: reset } }),
        make("button", { type: "button", id: "token-open", text: say("form.token") })));
    show();
    if (focused) document.getElementById(focused)?.focus();
  }
  const show = () => { for (const name of Object.keys(controls)) controls[name](value(name)); };
  function reset() {
    values = {};
    keepSeed = false;
    store.remove("settings");
    store.set("keepSeed", false);
    rebuild();
    changed();
  }

  return {
    build, value, set,
    // What a request names, so that the chosen model paints it; null: what the server stands for.
    version: () => models.get(value("model")) ?? null,
    // The fields of the model as a request has them, without prompt and pictures. A new seed unless it is kept.
    take({ roll = false } = {}) {
      if (roll || !keepSeed || value("seed") === null) set("seed", newSeed());
      const input = {};
      for (const name of Object.keys(properties)) if (!ELSEWHERE.includes(name) && value(name) !== null && value(name) !== "") input[name] = value(name);
      return input;
    },
    // The same without changing anything, for code to copy.
    look() {
      const input = {};
      for (const name of Object.keys(properties)) if (!ELSEWHERE.includes(name) && value(name) !== null && value(name) !== "") input[name] = value(name);
      return input;
    },
    restore(input) {
      if (input.model) set("model", input.model); // first: it makes the other controls
      for (const [name, next] of Object.entries(input)) if (name in controls && name !== "model") set(name, next);
    },
    seedUsed(seed) { if (seed !== null) set("seed", seed); },
  };
}

const newSeed = () => Math.floor(Math.random() * 2 ** 31);
