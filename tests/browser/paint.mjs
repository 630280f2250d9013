// Painting: what is sent, progress, preview, queue, cancel.
import { test } from "node:test";
import assert from "node:assert/strict";
import { visit, picture, pixels, openPhoto, openPlain, drag, tool, paint, settle, download, mask, heard, stepsFor, occupy, look, stop, shot } from "./person.mjs";

const photo = { width: 320, height: 240 };
async function ready(page, width = 320, height = 240) {
  const file = await openPlain(page, width, height);
  await tool(page, "ellipse");
  await drag(page, { width, height }, [[width * 0.3, height * 0.3], [width * 0.7, height * 0.75]]);
  return file;
}
const different = (a, b, where) => {
  let inside = 0, outside = 0;
  for (let i = 0; i < a.data.length; i += 4) {
    const same = a.data[i] === b.data[i] && a.data[i + 1] === b.data[i + 1] && a.data[i + 2] === b.data[i + 2];
    if (same) continue;
    if (where.data[i] > 0) inside++;
    else outside++;
  }
  return { inside, outside };
};

test("progress, time left, a forming picture; and only what is masked changes in the file", async () => {
  const page = await visit();
  const file = await ready(page, 321, 243); // no multiple of 8
  const masked = await mask(page);
  const steps = await stepsFor(page, 3);
  await settle(page, "num_inference_steps", steps);
  await page.fill("#prompt", "a red apple");
  const previews = [];
  page.on("response", (answer) => { if (/preview/.test(answer.url()) && answer.ok()) previews.push(answer.url()); });
  await page.keyboard.press("Control+Enter");
  await heard(page, "status", new RegExp(`^Step \\d+ of ${steps} · about \\d+ (s|min) left$`));
  assert.ok(Number(await page.getAttribute("#progress", "aria-valuenow")) > 0);
  await shot(page, "painting");
  await page.waitForSelector("body[data-mode=result]");
  assert.ok(previews.length > 0, "previews came");
  await heard(page, "live", /percent painted/);
  await heard(page, "live", /Done/);
  await shot(page, "result");
  const before = await pixels(page, file), { name, file: png } = await download(page);
  const after = await pixels(page, png);
  assert.match(name, /^inpaintd-\d+\.png$/);
  assert.deepEqual([after.width, after.height], [321, 243]);
  const { inside, outside } = different(before, after, masked);
  assert.equal(outside, 0);
  assert.ok(inside > masked.area * 0.8, `${inside} of ${masked.area} changed`);
  await page.done();
});

test("the whole photo at full size: the server's own promise, seen from the file", async () => {
  const page = await visit();
  const file = await ready(page, 203, 150);
  const masked = await mask(page);
  await page.selectOption("#f-area", "whole");
  await page.selectOption("#f-size", "0");
  const [request] = await Promise.all([page.waitForRequest((one) => one.method() === "POST" && one.url().endsWith("/v1/predictions")), paint(page)]);
  const { input } = request.postDataJSON();
  const sent = await pixels(page, Buffer.from(input.image.split(",")[1], "base64"));
  assert.deepEqual([sent.width, sent.height], [208, 152], "made up to whole blocks of 8");
  assert.equal(input.prompt, "a red apple");
  assert.equal(input.num_inference_steps, 2);
  const { outside, inside } = different(await pixels(page, file), await pixels(page, (await download(page)).file), masked);
  assert.equal(outside, 0);
  assert.ok(inside > 0);
  await page.done();
});

test("a big photo is sent small around its mask and keeps its size", async () => {
  const page = await visit();
  const big = { width: 2000, height: 1500 };
  await openPhoto(page, await picture(page, { ...big, type: "image/jpeg" }), "big.jpg", "image/jpeg");
  await tool(page, "rectangle");
  await drag(page, big, [[900, 600], [1200, 900]]);
  const [request] = await Promise.all([page.waitForRequest((one) => one.method() === "POST" && one.url().endsWith("/v1/predictions")), paint(page)]);
  const sent = await pixels(page, Buffer.from(request.postDataJSON().input.image.split(",")[1], "base64"));
  assert.deepEqual([sent.width, sent.height], [256, 256]);
  const after = await pixels(page, (await download(page)).file);
  assert.deepEqual([after.width, after.height], [2000, 1500]);
  await page.done();
});

test("paint outside the mask instead", async () => {
  const page = await visit();
  const file = await ready(page);
  const masked = await mask(page);
  await page.check("#f-invert_mask");
  await paint(page);
  const before = await pixels(page, file), after = await pixels(page, (await download(page)).file);
  for (let i = 3; i < masked.data.length; i += 4) masked.data[i - 3] = 255 - masked.data[i - 3];
  const { outside, inside } = different(before, after, masked);
  assert.equal(outside, 0);
  assert.ok(inside > 320 * 240 * 0.5);
  await page.done();
});

test("cancel stops it, on the server too, and says so", async () => {
  const page = await visit();
  await ready(page, 512, 512);
  await page.selectOption("#f-size", "0");
  await settle(page, "num_inference_steps", 500); // minutes, on a fast machine too
  const [answer] = await Promise.all([page.waitForResponse((one) => one.request().method() === "POST" && one.url().endsWith("/v1/predictions")), page.click("#paint")]);
  const { id } = await answer.json();
  await heard(page, "status", /Step [1-9]\d* of 500/);
  await page.click("#cancel");
  await page.waitForSelector("body[data-mode=edit]");
  await heard(page, "live", /Stopped/);
  const { status, logs } = await look(id);
  assert.equal(status, "canceled");
  assert.ok(!logs.includes("500/500"));
  assert.ok((await mask(page)).area > 0, "the mask is still there");
  await page.done();
});

test("a busy server: the place in the queue", async () => {
  const page = await visit();
  await ready(page);
  const others = [await occupy(page), await occupy(page)];
  await settle(page, "num_inference_steps", 1);
  await page.click("#paint");
  await heard(page, "status", /^2 before you in the queue…$/);
  await stop(others[1]);
  await heard(page, "status", /^1 before you in the queue…$/);
  await stop(others[0]);
  await page.waitForSelector("body[data-mode=result]");
  await page.done();
});
