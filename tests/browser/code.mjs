// "As code": the same request, ready to paste.
import { test } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, symlink, writeFile, mkdtemp } from "node:fs/promises";
import { promisify } from "node:util";
import { visit, openPlain, drag, tool, settle, shot } from "./person.mjs";

const run = promisify(execFile);
// Where tests/clients has put Replicate's own clients.
const clients = process.env.CLIENTS_CACHE ?? new URL("../../build/clients", import.meta.url).pathname;
const PNG = "89504e470d0a1a0a";

test("curl, JavaScript and Python run as they are", async (t) => {
  const page = await visit();
  await openPlain(page, 128, 96);
  await tool(page, "ellipse");
  await drag(page, { width: 128, height: 96 }, [[40, 30], [90, 70]]);
  const prompt = `50% "red" apple, it's a \\ test`;
  await page.fill("#prompt", prompt);
  await settle(page, "num_inference_steps", 1);
  await settle(page, "seed", 99);
  await page.click("#tab-code");
  const folder = await mkdtemp(`${process.env.WORK}/code-`);
  const downloads = [];
  page.on("download", (download) => downloads.push(download));
  await page.click("#code-files");
  while (downloads.length < 2) await page.waitForTimeout(50);
  for (const download of downloads) await download.saveAs(`${folder}/${download.suggestedFilename()}`);

  const curl = await page.textContent("#code-text");
  await shot(page, "code");
  const { stdout } = await run("sh", ["-c", curl], { cwd: folder, maxBuffer: 1e8 });
  const prediction = JSON.parse(stdout);
  assert.equal(prediction.status, "succeeded");
  assert.equal(prediction.input.prompt, prompt);
  assert.equal(prediction.input.seed, 99);
  assert.equal(prediction.input.num_inference_steps, 1);

  await page.check("input[value=JavaScript]");
  const javascript = await page.textContent("#code-text");
  await writeFile(`${folder}/paint.mjs`, javascript);
  await run(process.execPath, ["--check", `${folder}/paint.mjs`]);
  assert.ok(javascript.includes(JSON.stringify(prompt)));
  const painted = async () => assert.ok((await readFile(`${folder}/out-0.png`)).toString("hex").startsWith(PNG));
  const modules = `${clients}/npm-replicate/node_modules`, interpreter = `${clients}/python-replicate/bin/python`;
  if (existsSync(`${modules}/replicate`)) {
    await symlink(modules, `${folder}/node_modules`);
    await run(process.execPath, ["paint.mjs"], { cwd: folder, timeout: 120000 });
    await painted();
    await writeFile(`${folder}/out-0.png`, "");
  } else t.diagnostic("SKIPPED: the JavaScript was not run, tests/clients has not installed npm's replicate");
  await page.check("input[value=Python]");
  const python = await page.textContent("#code-text");
  assert.ok(python.includes(JSON.stringify(prompt)));
  await writeFile(`${folder}/paint.py`, python);
  await run("python3", ["-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())", `${folder}/paint.py`]);
  if (existsSync(interpreter)) {
    await run(interpreter, ["paint.py"], { cwd: folder, timeout: 120000 });
    await painted();
  } else t.diagnostic("SKIPPED: the Python was not run, tests/clients has not installed PyPI's replicate");
  await page.done();
});
