// The same request as curl, JavaScript and Python.
import { $, make, save, toast } from "./dom.js";
import { say } from "./strings.js";
import { hasToken, VERSION } from "./api.js";

const shellQuoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;
// As printf's format: % and \ are its own.
const printfed = (text) => text.replace(/\\/g, "\\\\").replace(/%/g, "%%");

function curl(origin, version, input, token) {
  const body = printfed(JSON.stringify({ version, input }).slice(0, -2));
  const comma = Object.keys(input).length ? "," : "";
  return `printf ${shellQuoted(`${body}${comma}"image":"data:image/png;base64,%s","mask":"data:image/png;base64,%s"}}`)} \\
  "$(base64 < photo.png | tr -d '\\n')" "$(base64 < mask.png | tr -d '\\n')" |
curl -s ${origin}/v1/predictions \\
  -H 'Content-Type: application/json' -H 'Prefer: wait'${token ? ` -H 'Authorization: Bearer ${token}'` : ""} \\
  --data-binary @-
`;
}

function javascript(origin, version, input, token) {
  const lines = Object.entries(input).map(([name, value]) => `      ${name}: ${JSON.stringify(value)},`).join("\n");
  return `// Node 18 or newer. Replicate's client works too: new Replicate({ auth: "${token || "none"}", baseUrl: "${origin}/v1" })
import { readFile, writeFile } from "node:fs/promises";

const headers = { "Content-Type": "application/json"${token ? `, Authorization: "Bearer ${token}"` : ""} };
const ask = async (url, options) => (await fetch(url, { ...options, headers: { ...headers, ...options?.headers } })).json();
const picture = async (name) => \`data:image/png;base64,\${await readFile(name, "base64")}\`;

let prediction = await ask("${origin}/v1/predictions", {
  method: "POST",
  headers: { Prefer: "wait" },
  body: JSON.stringify({
    version: "${version}",
    input: {
${lines}
      image: await picture("photo.png"),
      mask: await picture("mask.png"),
    },
  }),
});
while (["starting", "processing"].includes(prediction.status)) {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  prediction = await ask(prediction.urls.get);
}
if (prediction.status !== "succeeded") throw new Error(prediction.error ?? prediction.detail);
for (const [index, url] of prediction.output.entries()) {
  const answer = await fetch(url, { headers });
  await writeFile(\`out-\${index}.png\`, Buffer.from(await answer.arrayBuffer()));
}
`;
}

const python = (origin, version, input, token) => `# Replicate's client works too: Client(api_token="${token || "none"}", base_url="${origin}")
import base64, json, time, urllib.request

HEADERS = {"Content-Type": "application/json"${token ? `, "Authorization": "Bearer ${token}"` : ""}}

def ask(url, body=None, **headers):
    data = json.dumps(body).encode() if body else None
    return urllib.request.urlopen(urllib.request.Request(url, data, {**HEADERS, **headers})).read()

def picture(name):
    return "data:image/png;base64," + base64.b64encode(open(name, "rb").read()).decode()

prediction = json.loads(ask("${origin}/v1/predictions", {
    "version": "${version}",
    "input": {
${Object.entries(input).map(([name, value]) => `        "${name}": ${literal(value)},`).join("\n")}
        "image": picture("photo.png"),
        "mask": picture("mask.png"),
    },
}, Prefer="wait"))
while prediction["status"] in ("starting", "processing"):
    time.sleep(1)
    prediction = json.loads(ask(prediction["urls"]["get"]))
if prediction["status"] != "succeeded":
    raise SystemExit(prediction["error"])
for index, url in enumerate(prediction["output"]):
    with open(f"out-{index}.png", "wb") as file:
        file.write(ask(url))
`;
// JSON's strings and numbers are Python's too.
const literal = (value) => (value === true ? "True" : value === false ? "False" : JSON.stringify(value));

const LANGUAGES = { curl, JavaScript: javascript, Python: python };

// version() -> of the chosen model, or null; current() -> {prompt, ...settings}; files() -> {image, mask} as Blobs, or null.
export function createCode(version, current, files) {
  let language = "curl";
  const show = () => {
    $("#code-text").textContent = LANGUAGES[language](location.origin, version() ?? VERSION, current(), hasToken() ? say("code.token") : "");
  };
  for (const name of Object.keys(LANGUAGES)) {
    const input = make("input", { type: "radio", name: "code-language", value: name, on: { change: () => { language = name; show(); } } });
    input.checked = name === language;
    $("#code-language").append(make("label", {}, input, make("span", { text: name })));
  }
  $("#code-copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText($("#code-text").textContent);
      toast(say("said.copied"));
    } catch {
      toast(say("error.clipboard"), { error: true });
    }
  });
  $("#code-files").addEventListener("click", async () => {
    const both = await files();
    if (!both) return;
    save(both.image, "photo.png");
    save(both.mask, "mask.png");
  });
  return { show };
}
