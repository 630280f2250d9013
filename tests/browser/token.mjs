// A server that wants a token. Last, for from here on it does.
import { test, after } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { visit, openPlain, drag, tool, settle, leave, shot, URL } from "./person.mjs";

test("the token is asked for, kept in memory, remembered only when asked", async () => {
  const { stdout } = await promisify(execFile)(process.env.INPAINTD, ["token", "create", "page", "--data", `${process.env.WORK}/data`]);
  const secret = stdout.trim();
  for (let i = 0; i < 600 && (await fetch(`${URL}/v1/account`)).status !== 401; i++) await new Promise((resolve) => setTimeout(resolve, 100));
  const page = await visit();
  await openPlain(page, 128, 96);
  await tool(page, "rectangle");
  await drag(page, { width: 128, height: 96 }, [[40, 30], [90, 70]]);
  await settle(page, "num_inference_steps", 1);
  await page.click("#paint");
  await page.waitForSelector("#token-dialog[open]");
  await shot(page, "token");
  await page.fill("#token", "wrong");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#token").value === "" && document.querySelector("#token-dialog").open);
  await page.fill("#token", secret);
  await page.keyboard.press("Enter");
  await page.waitForSelector("body[data-mode=result]");
  assert.ok(!(await page.evaluate(() => JSON.stringify(localStorage))).includes(secret), "in memory only");
  await page.click("#tab-code");
  const code = await page.textContent("#code-text");
  assert.ok(code.includes("Authorization: Bearer YOUR_TOKEN") && !code.includes(secret));
  await page.click("#tab-settings");
  await page.click("#token-open");
  await page.fill("#token", secret);
  await page.check("#token-keep");
  await page.keyboard.press("Enter");
  await page.waitForFunction((secret) => JSON.stringify(localStorage).includes(secret), secret);
  await page.done();
});

after(leave);
