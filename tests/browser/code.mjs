// "As code": the same request, ready to paste.
import { test } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile, mkdtemp } from "node:fs/promises";
import { promisify } from "node:util";
import { visit, openPlain, drag, tool, settle, shot } from "./person.mjs";

const run = promisify(execFile);

test("curl, JavaScript and Python; the curl one runs as it is", async () => {
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
  await page.check("input[value=Python]");
  const python = await page.textContent("#code-text");
  assert.ok(python.includes(JSON.stringify(prompt)));
  await writeFile(`${folder}/paint.py`, python);
  await run("python3", ["-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())", `${folder}/paint.py`]);
  await page.done();
});
