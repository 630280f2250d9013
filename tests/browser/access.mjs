// For everybody: axe-core without violations in every state; names, focus, motion, theme.
import { test } from "node:test";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { visit, picture, pixels, saved, heard, openPlain, drag, tool, paint, painted, settle, shot, DESKTOP, PHONE } from "./person.mjs";

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
        await settle(page, "num_inference_steps", 2);
        await clean(page, "settings");
        await shot(page, `${device}-${colorScheme}-settings`);
        await page.keyboard.press("Escape");
        await page.waitForSelector("#panel", { state: "hidden" });
        assert.equal(await page.evaluate(() => document.activeElement.id), "panel-open");
        await page.tap("#prompt");
        await clean(page, "words");
        await page.fill("#prompt", "a red apple");
        await painted(page, () => page.tap("#paint"));
        await clean(page, "result");
        await shot(page, `${device}-${colorScheme}-result`);
        await page.tap("#compare");
        await clean(page, "compare");
        await page.tap("#compare");
        await page.tap("#side-by-side");
        await clean(page, "side by side");
        await shot(page, `${device}-${colorScheme}-beside`);
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
        await page.click("#prompt");
        await clean(page, "words");
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

test("a phone lying down: what matters is in sight, the photo has the room", async () => {
  const page = await visit({ ...PHONE, viewport: { width: 844, height: 390 } });
  const inside = async (...selectors) => {
    for (const selector of selectors) {
      const { x, y, width, height } = await page.locator(selector).boundingBox();
      assert.ok(x >= 0 && y >= 0 && x + width <= 844 && y + height <= 390, `${selector} at ${x}, ${y}, ${width} x ${height}`);
      assert.ok(await page.evaluate(([selector, x, y]) => document.elementFromPoint(x, y).closest(selector) !== null, [selector, x + width / 2, y + height / 2]), `${selector} is covered`);
    }
  };
  await inside("#welcome-open", "#welcome-camera", "#prompt", "#paint");
  await openPlain(page);
  await inside("#tools [data-tool=brush]", "#mask-menu > button", "#prompt", "#paint", "#size");
  assert.ok((await page.locator("#stage").boundingBox()).height > 220);
  await clean(page, "edit");
  await shot(page, "phone-lying");
  await page.done();
});

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

test("a photo painted with the keyboard alone, from the picker to the download", async () => {
  const page = await visit();
  const buffer = await picture(page, { width: 256, height: 192 });
  const active = () => page.evaluate(() => document.activeElement.id || document.activeElement.dataset.index);
  const tabTo = async (wanted, key = "Tab") => {
    for (let i = 0; i < 80 && (await active()) !== wanted; i++) await page.keyboard.press(key);
    assert.equal(await active(), wanted);
  };
  const chooser = page.waitForEvent("filechooser");
  await tabTo("welcome-open");
  await page.keyboard.press("Enter");
  await (await chooser).setFiles({ name: "a.png", mimeType: "image/png", buffer });
  await page.waitForSelector("body[data-mode=edit]");
  // The brush, larger, put down, moved, lifted.
  await tabTo("stage");
  for (let i = 0; i < 3; i++) await page.keyboard.press("]");
  await page.keyboard.press("Enter");
  await heard(page, "live", /Brush down/);
  for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await heard(page, "live", /Brush up/);
  // Fewer steps, words, paint.
  await tabTo("prompt");
  await page.keyboard.type("a red apple");
  await tabTo("f-num_inference_steps");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("2");
  await tabTo("prompt", "Shift+Tab");
  await painted(page, () => page.keyboard.press("Enter"));
  assert.equal(await active(), "0", "the result has the focus");
  await tabTo("compare");
  await page.keyboard.press("Space");
  assert.equal(await active(), "divider");
  await page.keyboard.press("Home");
  assert.equal(await page.getAttribute("#divider", "aria-valuenow"), "0");
  await page.keyboard.press("Escape");
  await tabTo("download", "Shift+Tab");
  await page.keyboard.press("Enter");
  const { file } = await saved(page, () => page.keyboard.press("Enter"));
  await tabTo("keep");
  await page.keyboard.press("Enter");
  await heard(page, "live", /Kept/);
  assert.equal(await active(), "stage");
  const before = await pixels(page, buffer), after = await pixels(page, file);
  assert.deepEqual([after.width, after.height], [256, 192]);
  assert.ok(!after.data.equals(before.data));
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
