// What this browser painted survives a reload; so does a painting under way.
import { test } from "node:test";
import assert from "node:assert/strict";
import { visit, pixels, openPlain, drag, tool, paint, settle, download, mask, heard, stepsFor, occupy, stop, shot } from "./person.mjs";

const photo = { width: 256, height: 192 };
async function ready(page) {
  await openPlain(page, photo.width, photo.height);
  await tool(page, "ellipse");
  await drag(page, photo, [[80, 60], [180, 140]]);
}
async function reload(page) {
  await page.reload();
  await page.waitForSelector("body:not(.loading)");
}

test("the history survives a reload and opens again with settings, mask and results", async () => {
  const page = await visit();
  await ready(page);
  await settle(page, "guidance_scale", 6.5);
  await paint(page, { prompt: "a lion" });
  const { file, name } = await download(page);
  await reload(page);
  assert.equal(await page.getAttribute("body", "data-mode"), "empty");
  await page.click("#tab-history");
  await page.waitForSelector(".entry");
  assert.match(await page.textContent(".entry b"), /a lion/);
  await shot(page, "history");
  await page.click(".entry .picture");
  await page.waitForSelector("body[data-mode=result]");
  const again = await download(page);
  assert.equal(again.name, name);
  assert.ok((await pixels(page, again.file)).data.equals((await pixels(page, file)).data));
  assert.equal(await page.inputValue("#prompt"), "a lion");
  assert.equal(await page.inputValue("#f-guidance_scale"), "6.5");
  await page.click("[aria-label='Delete from the history']");
  await page.waitForSelector(".entry", { state: "detached" });
  await reload(page);
  await page.click("#tab-history");
  await page.waitForFunction(() => document.querySelector("#history").textContent.includes("shows up here"));
  await page.done();
});

test("a prediction's own address shows it, to somebody else too", async () => {
  const page = await visit();
  await ready(page);
  const [answer] = await Promise.all([page.waitForResponse((one) => one.request().method() === "POST" && one.url().endsWith("/v1/predictions")), paint(page, { steps: 1 })]);
  const path = new URL((await answer.json()).urls.web).pathname;
  await page.goto(new URL(path, page.url()).href);
  await page.waitForSelector("body[data-mode=result]");
  await page.done();
  const other = await visit({ path });
  await other.waitForSelector("body[data-mode=edit]");
  assert.equal(await other.inputValue("#prompt"), "a red apple");
  assert.match(await other.textContent("#toast p"), /This is what was painted/);
  await other.done();
});

test("a closed tab loses nothing: photo, mask and words wait on the welcome page", async () => {
  const page = await visit();
  await ready(page);
  const drawn = await mask(page);
  await page.fill("#prompt", "a lion");
  const kept = () => page.evaluate(() => new Promise((resolve) => {
    const request = indexedDB.open("inpaintd");
    request.onsuccess = () => {
      const read = request.result.transaction("draft").objectStore("draft").get("work");
      read.onsuccess = () => {
        resolve(read.result?.prompt);
        request.result.close();
      };
    };
  }));
  while ((await kept()) !== "a lion") await page.waitForTimeout(50);
  await reload(page);
  assert.equal(await page.getAttribute("body", "data-mode"), "empty");
  await shot(page, "go-on");
  await page.click("#go-on");
  await page.waitForSelector("body[data-mode=edit]");
  await page.waitForFunction(() => document.querySelector("#prompt").value === "a lion");
  assert.ok((await mask(page)).data.equals(drawn.data));
  await page.done();
});

test("a reload in the middle of painting takes it up again", async () => {
  const page = await visit();
  await ready(page);
  await settle(page, "num_inference_steps", await stepsFor(page, 4));
  await page.click("#paint");
  await heard(page, "status", /Step [1-9]/);
  await reload(page);
  await heard(page, "mode", /painting/);
  await page.waitForSelector("body[data-mode=result]");
  assert.equal(await page.locator("#strip button").count(), 2);
  await page.done();
});

test("a reload while it waits in the queue, too", async () => {
  const page = await visit();
  await ready(page);
  const other = await occupy(page);
  await settle(page, "num_inference_steps", 1);
  await page.click("#paint");
  await heard(page, "status", /before you in the queue/);
  await reload(page);
  await heard(page, "status", /before you in the queue/);
  await stop(other);
  await page.waitForSelector("body[data-mode=result]");
  await page.done();
});
