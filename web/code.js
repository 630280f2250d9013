// The same request as curl, JavaScript and Python.
import { $, make, save, toast } from "./dom.js";
import { say } from "./strings.js";
import { hasToken } from "./api.js";

const MODEL = "andreasjansson/stable-diffusion-inpainting:e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180";
const VERSION = MODEL.split(":")[1];

const shellQuoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;
// As printf's format: % and \ are its own.
const printfed = (text) => text.replace(/\\/g, "\\\\").replace(/%/g, "%%");

function curl(origin, input, token) {
  const body = printfed(JSON.stringify({ version: VERSION, input }).slice(0, -2));
  const comma = Object.keys(input).length ? "," : "";
  return `printf ${shellQuoted(`${body}${comma}"image":"data:image/png;base64,%s","mask":"data:image/png;base64,%s"}}`)} \\
  "$(base64 < photo.png | tr -d '\\n')" "$(base64 < mask.png | tr -d '\\n')" |
curl -s ${origin}/v1/predictions \\
  -H 'Content-Type: application/json' -H 'Prefer: wait'${token ? ` -H 'Authorization: Bearer ${token}'` : ""} \\
  --data-binary @-
`;
}

function javascript(origin, input, token) {
  const lines = Object.entries(input).map(([name, value]) => `    ${name}: ${JSON.stringify(value)},`).join("\n");
  return `// npm install replicate
import { readFile, writeFile } from "node:fs/promises";
import Replicate from "replicate";

const replicate = new Replicate({
  auth: "${token || "none"}",
  baseUrl: "${origin}/v1",
});
const output = await replicate.run("${MODEL}", {
  input: {
${lines}
    image: await readFile("photo.png"),
    mask: await readFile("mask.png"),
  },
});
for (const [index, file] of output.entries()) {
  const answer = typeof file === "string" ? await fetch(file) : await file.blob();
  await writeFile(\`out-\${index}.png\`, Buffer.from(await answer.arrayBuffer()));
}
`;
}

const python = (origin, input, token) => `# pip install replicate
import urllib.request
from replicate.client import Client

replicate = Client(api_token="${token || "none"}", base_url="${origin}")
output = replicate.run(
    "${MODEL}",
    input={
${Object.entries(input).map(([name, value]) => `        "${name}": ${literal(value)},`).join("\n")}
        "image": open("photo.png", "rb"),
        "mask": open("mask.png", "rb"),
    },
)
for index, file in enumerate(output):
    urllib.request.urlretrieve(str(file), f"out-{index}.png")
`;
// JSON's strings and numbers are Python's too.
const literal = (value) => (value === true ? "True" : value === false ? "False" : JSON.stringify(value));

const LANGUAGES = { curl, JavaScript: javascript, Python: python };

// current() -> {prompt, ...settings}; files() -> {image, mask} as Blobs, or null.
export function createCode(current, files) {
  let language = "curl";
  const show = () => {
    $("#code-text").textContent = LANGUAGES[language](location.origin, current(), hasToken() ? say("code.token") : "");
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
