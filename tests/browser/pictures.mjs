// The pictures of docs/page.md, taken from the page itself:
//   SCREENSHOTS=../../docs INPAINTD=../../build/release/inpaintd ./run_browser.sh pictures.mjs
import { visit, settle, heard, leave, shot, PHONE } from "./person.mjs";

const desktop = (width, height, colorScheme) => ({ viewport: { width, height }, colorScheme });
async function sample(index, prompt, { seed, steps }, options) {
  const page = await visit(options);
  await page.click(`#samples button >> nth=${index}`);
  await page.waitForFunction(() => !document.querySelector("#undo").disabled);
  await page.fill("#prompt", prompt);
  if (await page.isHidden("#panel")) await page.click("#panel-open");
  await settle(page, "num_inference_steps", steps);
  await settle(page, "seed", seed);
  if (options.isMobile) await page.keyboard.press("Escape");
  await page.evaluate(() => { document.activeElement.blur(); document.querySelector("#page-settings").scrollTop = 0; });
  return page;
}

// A result, compared with the photo.
const light = await sample(1, "the planet jupiter", { seed: 1, steps: 25 }, desktop(1060, 600, "light"));
await light.click("label:has-text('4'):has([name=f-num_outputs])");
await light.click("#paint");
await light.waitForSelector("body[data-mode=result]");
await light.click("#compare");
for (let i = 0; i < 2; i++) await light.keyboard.press("ArrowRight");
await light.evaluate(() => { document.querySelector("#page-settings").scrollTop = 0; });
await light.waitForTimeout(300);
await shot(light, "page-light");
await light.done();

// A picture on its way.
const dark = await sample(1, "the planet earth", { seed: 2, steps: 100 }, desktop(960, 560, "dark"));
await dark.click("#paint");
await heard(dark, "status", /Step 4\d of/);
await shot(dark, "page-dark");
await dark.click("#cancel");
await dark.waitForSelector("body[data-mode=edit]");
await dark.done();

// On a phone: the mask.
const phone = await sample(1, "the moon", { seed: 3, steps: 25 }, { ...PHONE, deviceScaleFactor: 1, viewport: { width: 360, height: 680 }, colorScheme: "light" });
await phone.waitForTimeout(400);
await shot(phone, "page-phone");
await phone.done();
await leave();
