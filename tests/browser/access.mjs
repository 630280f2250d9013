// For everybody: axe-core without violations in every state; names, focus, motion, theme.
import { test } from "node:test";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { visit, openPlain, drag, tool, paint, shot, DESKTOP, PHONE } from "./person.mjs";

const axe = new URL("./node_modules/axe-core/axe.min.js", import.meta.url);
async function clean(page, state) {
  // What fades or slides has to be there: on its way in, its contrast is another.
  await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime < 5000).map((one) => one.finished.catch(() => {}))));
  await page.evaluate(await readFile(axe, "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${state}: ${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`), []);
}

for (const [device, options] of [["desktop", DESKTOP], ["phone", PHONE]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`axe: ${device}, ${colorScheme}`, async () => {
      const page = await visit({ ...options, colorScheme });
      const photo = { width: 256, height: 192 };
      await clean(page, "welcome");
      await shot(page, `${device}-${colorScheme}-welcome`);
      await openPlain(page, photo.width, photo.height);
      await tool(page, "lasso");
      await drag(page, photo, [[80, 60], [180, 70], [150, 140]]);
      await clean(page, "edit");
      await shot(page, `${device}-${colorScheme}-edit`);
      if (device === "phone") {
        await page.click("#panel-open");
        await clean(page, "settings");
        await shot(page, `${device}-${colorScheme}-settings`);
        await page.keyboard.press("Escape");
        await page.waitForSelector("#panel", { state: "hidden" });
        assert.equal(await page.evaluate(() => document.activeElement.id), "panel-open");
      } else {
        await page.keyboard.press("?");
        await clean(page, "help");
        await page.keyboard.press("Escape");
        await page.click("#mask-menu > button");
        await clean(page, "mask menu");
        await page.keyboard.press("Escape");
        for (const tab of ["history", "code"]) {
          await page.click(`#tab-${tab}`);
          await clean(page, tab);
        }
        await page.click("#tab-settings");
        await paint(page, { steps: 1 });
        await clean(page, "result");
        await shot(page, `${device}-${colorScheme}-result`);
        await page.click("#compare");
        await clean(page, "compare");
      }
      await page.done();
    });
  }
}

test("every control has a name and can be reached by Tab", async () => {
  const page = await visit();
  await openPlain(page);
  const wanted = await page.$$eval("button, input, select, [tabindex]", (all) => all.filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0
    && !one.closest("[hidden]") && one.type !== "radio").map((one) => one.id || one.outerHTML.slice(0, 60)));
  const reached = new Set();
  await page.focus(".skip");
  for (let i = 0; i < wanted.length * 2; i++) {
    await page.keyboard.press("Tab");
    const here = await page.evaluate(() => {
      const one = document.activeElement;
      const outlined = getComputedStyle(one).outlineStyle !== "none" || one.id === "prompt" || one.type === "radio";
      return { id: one.id || one.outerHTML.slice(0, 60), outlined };
    });
    assert.ok(here.outlined || here.id.startsWith("<body"), `${here.id} shows its focus`);
    reached.add(here.id);
  }
  assert.deepEqual(wanted.filter((id) => !reached.has(id)), []);
  await page.done();
});

test("the theme: the system's, another by the button, remembered; no motion where it is not wanted", async () => {
  const page = await visit({ colorScheme: "light", reducedMotion: "reduce" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.click("#theme");
  const dark = await ground();
  assert.notEqual(light, dark);
  await page.reload();
  await page.waitForSelector("body:not(.loading)");
  assert.equal(await ground(), dark);
  assert.equal(await page.$eval("button", (one) => getComputedStyle(one).transitionDuration), "0s");
  await page.done();
});
