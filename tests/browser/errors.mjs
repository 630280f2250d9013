// Errors in words that say what to do.
import { test } from "node:test";
import assert from "node:assert/strict";
import { visit, openPlain, drag, tool } from "./person.mjs";

const said = (page) => page.textContent("#toast p");
async function ready(page) {
  await openPlain(page, 128, 96);
  await tool(page, "rectangle");
  await drag(page, { width: 128, height: 96 }, [[40, 30], [90, 70]]);
}

test("nothing open, nothing masked", async () => {
  const page = await visit();
  await page.click("#paint");
  assert.match(await said(page), /Open a photo first/);
  await openPlain(page);
  await page.click("#paint");
  await page.waitForFunction(() => /Brush over/.test(document.querySelector("#toast p").textContent));
  assert.equal(await page.evaluate(() => document.activeElement.id), "stage");
  await page.done();
});

test("the server's own words for what it refuses, and when it is gone", async () => {
  const page = await visit();
  await ready(page);
  await page.route("**/v1/predictions", (route) => {
    const body = route.request().postDataJSON();
    return route.continue({ postData: JSON.stringify({ ...body, input: { ...body.input, num_inference_steps: 9999 } }) });
  });
  await page.click("#paint");
  await page.waitForSelector("#toast.error:not([hidden])");
  assert.match(await said(page), /did not take this: num_inference_steps: Must be less than or equal to 500/);
  await page.unroute("**/v1/predictions");
  await page.click("#toast button");
  assert.ok(await page.isHidden("#toast"));
  await page.context().setOffline(true);
  await page.click("#paint");
  await page.waitForSelector("#toast.error:not([hidden])");
  assert.match(await said(page), /can't be reached/);
  await page.context().setOffline(false);
  assert.equal(await page.getAttribute("body", "data-mode"), "edit");
  await page.done();
});

test("a failed prediction says why", async () => {
  const page = await visit();
  await ready(page);
  await page.route("**/v1/predictions", (route) => {
    const body = route.request().postDataJSON();
    return route.continue({ postData: JSON.stringify({ ...body, input: { ...body.input, image: "data:image/png;base64,aGVsbG8=" } }) });
  });
  await page.click("#paint");
  await page.waitForSelector("#toast.error:not([hidden])");
  assert.match(await said(page), /Painting failed: .{10}/);
  await page.done();
});
