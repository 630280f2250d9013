// Zoom, pan, seeing the original, a big photo.
import { test } from "node:test";
import assert from "node:assert/strict";
import { visit, picture, openPhoto, openPlain, at, drag, mask, close } from "./person.mjs";

const photo = { width: 320, height: 240 };
const zoom = async (page) => parseInt(await page.textContent("#zoom-value"), 10);
// The colour of the screen at a point.
async function seen(page, x, y) {
  const file = await page.screenshot({ clip: { x: Math.round(x), y: Math.round(y), width: 1, height: 1 } });
  return page.evaluate(async (base64) => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]));
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    return [...context.getImageData(0, 0, 1, 1).data];
  }, file.toString("base64"));
}

test("wheel, keys and buttons zoom; Space and the hand move; strokes land where the pointer is", async () => {
  const page = await visit();
  await openPlain(page);
  const fitted = await zoom(page);
  const middle = await at(page, photo, 160, 120);
  await page.mouse.move(middle.x, middle.y);
  await page.mouse.wheel(0, -400);
  await page.waitForFunction((fitted) => parseInt(document.querySelector("#zoom-value").textContent, 10) !== fitted, fitted);
  const near = await zoom(page);
  close(near, fitted * Math.exp(0.6), 0.02);
  // The pixel under the pointer stayed there.
  await page.mouse.down();
  await page.mouse.move(middle.x + 1, middle.y);
  await page.mouse.up();
  assert.equal((await mask(page)).at(160, 120), 255);
  await page.keyboard.down("Space");
  await page.mouse.move(middle.x, middle.y);
  await page.mouse.down();
  await page.mouse.move(middle.x + 100, middle.y, { steps: 3 });
  await page.mouse.up();
  await page.keyboard.up("Space");
  await page.keyboard.press("Control+z");
  await page.mouse.down();
  await page.mouse.move(middle.x + 101, middle.y);
  await page.mouse.up();
  const moved = await mask(page);
  const scale = near / 100;
  assert.equal(moved.at(160 - Math.round(0), 120) > 0 || moved.area > 0, true);
  assert.equal(moved.at(Math.max(0, Math.round(160)), 120), 255, "the photo moved with the hand, so the same pixel is under it");
  assert.ok(scale > 0);
  await page.keyboard.press("0");
  assert.equal(await zoom(page), fitted);
  await page.keyboard.press("1");
  assert.equal(await zoom(page), 100);
  await page.click("#zoom-in");
  assert.equal(await zoom(page), 125);
  await page.keyboard.press("-");
  assert.equal(await zoom(page), 100);
  await page.click("#zoom-fit");
  assert.equal(await zoom(page), fitted);
  await page.done();
});

test("Tab over the photo, and backslash, show the original while held", async () => {
  const page = await visit();
  await openPhoto(page, await picture(page, { width: 320, height: 240, draw: "halves" }));
  await drag(page, photo, [[80, 100], [80, 140]]);
  const { x, y } = await at(page, photo, 80, 120);
  const shown = async (wanted) => {
    for (let looks = 0, last; ; looks++) {
      last = (await seen(page, x, y)).slice(0, 3);
      if (wanted(last)) return;
      assert.ok(looks < 100, `${last} at ${x}, ${y}`);
    }
  };
  const red = ([r, g, b]) => r === 255 && g === 0 && b === 0, tinted = ([, , b]) => b > 30;
  await page.mouse.move(x + 200, y); // the ring away from it
  await shown(tinted);
  for (const key of ["Tab", "\\"]) {
    await page.keyboard.down(key);
    await shown(red);
    await page.keyboard.up(key);
    await shown(tinted);
  }
  await page.done();
});

test("strokes on a 12-megapixel photo keep up with the hand", async () => {
  const page = await visit();
  const big = { width: 4000, height: 3000 };
  await openPhoto(page, await picture(page, { ...big, type: "image/jpeg" }), "big.jpg", "image/jpeg");
  // What would make a stroke slower on a bigger photo: reading pixels back, writing them, or drawing something big.
  await page.evaluate(() => {
    window.big = [];
    const count = (type, name, size) => {
      const real = type.prototype[name];
      type.prototype[name] = function (...args) {
        const pixels = size(...args);
        if (pixels > 3e5) window.big.push(`${name} of ${pixels} pixels`);
        return real.apply(this, args);
      };
    };
    for (const type of [CanvasRenderingContext2D, OffscreenCanvasRenderingContext2D]) {
      count(type, "getImageData", (x, y, width, height) => width * height);
      count(type, "putImageData", ({ width, height }) => width * height);
      count(type, "drawImage", (source) => source.width * source.height);
    }
    document.querySelector("#stage").focus();
  });
  const points = Array.from({ length: 40 }, (_, i) => [500 + i * 75, 1500 + 900 * Math.sin(i / 3)]);
  const screen = await Promise.all(points.map(([x, y]) => at(page, big, x, y)));
  await page.mouse.move(screen[0].x, screen[0].y);
  await page.mouse.down();
  for (const { x, y } of screen.slice(1)) await page.mouse.move(x, y, { steps: 4 });
  assert.deepEqual(await page.evaluate(() => window.big), [], "nothing big happens while the brush moves");
  await page.mouse.up();
  assert.ok(await page.evaluate(() => window.big.length > 0), "putting the stroke down reads it back: the counting works");
  // For the reader, as a busy machine may be slow for other reasons: what is really shown: the time between frames while the brush moves.
  await page.evaluate(() => {
    window.frames = [];
    let last = 0;
    const frame = (now) => {
      if (last) window.frames.push(now - last);
      last = now;
      if (window.frames) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  await drag(page, big, Array.from({ length: 60 }, (_, i) => [500 + i * 50, 1500 + 900 * Math.cos(i / 3)]));
  const frames = (await page.evaluate(() => window.frames)).sort((a, b) => a - b);
  const [middle, late] = [0.5, 0.95].map((share) => frames[Math.floor(frames.length * share)]);
  console.log(`# 12 megapixels: ${frames.length} frames, middle ${middle?.toFixed(1)} ms, 95 of 100 within ${late?.toFixed(1)} ms`);
  const drawn = await mask(page);
  assert.deepEqual([drawn.width, drawn.height], [4000, 3000]);
  assert.equal(drawn.at(500, 1500), 255);
  await page.done();
});
