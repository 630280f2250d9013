// Results: several, compared, kept, downloaded, copied; seeds.
import { test } from "node:test";
import assert from "node:assert/strict";
import { visit, pixels, openPlain, drag, tool, paint, painted, settle, download, mask, shot } from "./person.mjs";

const photo = { width: 256, height: 192 };
async function ready(page) {
  const file = await openPlain(page, photo.width, photo.height);
  await tool(page, "rectangle");
  await drag(page, photo, [[80, 60], [180, 140]]);
  return file;
}

test("two outputs: chosen, side by side, compared, kept and undone", async () => {
  const page = await visit();
  const file = await ready(page);
  await page.click("label:has(#f-num_outputs), [role=radiogroup] label:has-text('2')");
  await paint(page);
  assert.equal(await page.locator("#strip button").count(), 3);
  const first = (await download(page)).file;
  await page.click('#strip [data-index="1"]');
  const second = (await download(page)).file;
  assert.ok(!first.equals(second));

  await page.click("#side-by-side");
  assert.equal(await page.locator("#beside button").count(), 3);
  await shot(page, "beside");
  await page.click("#beside button >> nth=2");
  assert.ok(await page.isHidden("#beside"));
  assert.equal(await page.getAttribute('#strip [data-index="1"]', "aria-pressed"), "true");

  await page.click("#compare");
  const divider = page.locator("#divider");
  assert.equal(await divider.getAttribute("aria-valuenow"), "50");
  await page.keyboard.press("ArrowRight");
  assert.equal(await divider.getAttribute("aria-valuenow"), "52");
  const box = await page.locator("#divider span").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x - 100, box.y, { steps: 5 });
  await page.mouse.up();
  assert.ok(Number(await divider.getAttribute("aria-valuenow")) < 45);
  await shot(page, "compare");
  await page.keyboard.press("Escape");
  assert.ok(await divider.isHidden());

  await page.click('#strip [data-index="-1"]');
  assert.equal(await page.getAttribute("body", "data-mode"), "edit");
  await page.click('#strip [data-index="1"]');
  await page.click("#keep");
  await page.waitForSelector("#results", { state: "hidden" });
  const kept = await pixels(page, (await download(page)).file);
  assert.ok(kept.data.equals((await pixels(page, second)).data), "the photo is what was chosen");
  assert.equal((await mask(page)).area, 0);
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => !document.querySelector("#redo").disabled);
  assert.ok((await pixels(page, (await download(page)).file)).data.equals((await pixels(page, file)).data), "undone: the photo is back");
  assert.ok((await mask(page)).area > 0, "and its mask");
  await page.done();
});

test("the same seed paints the same, another one something else", async () => {
  const page = await visit();
  await ready(page);
  await settle(page, "seed", 4711);
  assert.ok(await page.isChecked("#f-keep-seed"), "a seed typed in is kept");
  await paint(page);
  const first = await download(page);
  assert.equal(first.name, "inpaintd-4711.png");
  await painted(page, () => page.click("#paint"));
  assert.ok(first.file.equals((await download(page)).file));
  await painted(page, () => page.click("#again"));
  assert.ok(!first.file.equals((await download(page)).file));
  assert.notEqual(await page.inputValue("#f-seed"), "4711");
  await page.done();
});

test("PNG, JPEG, WebP and the clipboard; discard", async () => {
  const page = await visit({ permissions: ["clipboard-read", "clipboard-write"] });
  await ready(page);
  await paint(page, { steps: 1 });
  for (const [format, name, magic] of [["image/png", /\.png$/, "89504e47"], ["image/jpeg", /\.jpg$/, "ffd8ff"], ["image/webp", /\.webp$/, "52494646"]]) {
    const got = await download(page, format);
    assert.match(got.name, name);
    assert.ok(got.file.toString("hex").startsWith(magic), format);
  }
  await page.click("#download");
  await page.click("#copy");
  await page.waitForFunction(() => document.querySelector("#toast p").textContent === "Copied.");
  const types = await page.evaluate(async () => (await navigator.clipboard.read())[0].types);
  assert.deepEqual(types, ["image/png"]);
  await page.click("#discard");
  assert.ok(await page.isHidden("#results"));
  assert.equal(await page.getAttribute("body", "data-mode"), "edit");
  await page.done();
});
