// "As code": the same request, ready to paste: what is shown is run, with nothing installed for it.
import { test } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile, mkdtemp } from "node:fs/promises";
import { promisify } from "node:util";
import { visit, openPlain, drag, tool, settle, pixels, shot } from "./person.mjs";

const run = promisify(execFile);

test("curl, JavaScript and Python run as they are", async () => {
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
  while (downloads.length < 2) await page.waitForTimeout(50); // both, however long they take
  for (const download of downloads) await download.saveAs(`${folder}/${download.suggestedFilename()}`);

  const curl = await page.textContent("#code-text");
  await shot(page, "code");
  const { stdout } = await run("sh", ["-c", curl], { cwd: folder, maxBuffer: 1e8 });
  const prediction = JSON.parse(stdout);
  assert.equal(prediction.status, "succeeded");
  assert.equal(prediction.input.prompt, prompt);
  assert.equal(prediction.input.seed, 99);
  assert.equal(prediction.input.num_inference_steps, 1);

  const outputs = [];
  for (const [language, program, name] of [["JavaScript", process.execPath, "paint.mjs"], ["Python", "python3", "paint.py"]]) {
    await page.check(`input[value=${language}]`);
    const text = await page.textContent("#code-text");
    assert.ok(text.includes(JSON.stringify(prompt)));
    await writeFile(`${folder}/${name}`, text);
    await shot(page, `code-${language}`);
    await run(program, [name], { cwd: folder });
    outputs.push(await readFile(`${folder}/out-0.png`));
    await writeFile(`${folder}/out-0.png`, "");
  }
  // The same request: the same picture, of the size of what was sent.
  const [one, other] = await Promise.all(outputs.map((file) => pixels(page, file)));
  assert.deepEqual([one.width, one.height], [128, 96]);
  assert.ok(one.data.equals(other.data));
  await page.done();
});
