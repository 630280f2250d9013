// The mask's tools, by mouse, finger, pen and keyboard; undo and redo; import and export.
import { test } from "node:test";
import assert from "node:assert/strict";
import { visit, picture, openPlain, at, drag, tool, mask, maskMenu, close, heard, forget, shot, PHONE } from "./person.mjs";

const photo = { width: 320, height: 240 };
const size = (page, value) => page.$eval("#size", (input, value) => { input.value = value; input.dispatchEvent(new Event("input")); }, value);
const soft = (page, value) => page.$eval("#soft", (input, value) => { input.value = value; input.dispatchEvent(new Event("input")); }, value);

test("brush and eraser, their size and softness", async () => {
  const page = await visit();
  await openPlain(page);
  await size(page, 20);
  await drag(page, photo, [[60, 60], [160, 60]]);
  let now = await mask(page);
  close(now.area, 100 * 20 + Math.PI * 100, 0.04);
  assert.deepEqual([now.at(110, 60), now.at(110, 40), now.at(200, 60)], [255, 0, 0]);
  await tool(page, "eraser");
  await drag(page, photo, [[110, 60], [110, 61]]);
  now = await mask(page);
  assert.deepEqual([now.at(110, 60), now.at(75, 60)], [0, 255]);
  await tool(page, "brush");
  await soft(page, 100);
  await drag(page, photo, [[200, 160], [201, 160]]);
  now = await mask(page);
  assert.ok(now.at(200, 160) > 200 && now.at(207, 160) > 5 && now.at(207, 160) < 200, "the edge is soft");
  // Across a long soft line: full in the middle, half way out half, nothing at the rim.
  await drag(page, photo, [[60, 200], [260, 200]]);
  now = await mask(page);
  const across = [0, 3, 5, 7, 9, 11].map((off) => now.at(160, 200 + off));
  for (const [i, [least, most]] of [[245, 255], [170, 235], [95, 165], [30, 90], [1, 30], [0, 0]].entries()) {
    assert.ok(across[i] >= least && across[i] <= most, `${across} across the line`);
  }
  await page.keyboard.press("]");
  await page.keyboard.press("]");
  assert.equal(await page.inputValue("#size"), "26");
  await page.keyboard.press("[");
  assert.equal(await page.inputValue("#size"), "23");
  await page.done();
});

test("lasso, rectangle, ellipse, fill", async () => {
  const page = await visit();
  await openPlain(page);
  await tool(page, "rectangle");
  await drag(page, photo, [[20, 20], [80, 60]]);
  close((await mask(page)).area, 60 * 40, 0.05);
  await page.keyboard.press("Control+a");
  assert.equal((await mask(page)).area, 320 * 240);
  await page.keyboard.press("Delete");
  assert.equal((await mask(page)).area, 0);
  await tool(page, "ellipse");
  await drag(page, photo, [[100, 100], [180, 140]]);
  close((await mask(page)).area, Math.PI * 40 * 20, 0.05);
  await page.keyboard.press("Delete");
  await tool(page, "lasso");
  await drag(page, photo, [[50, 50], [150, 50], [100, 150], [55, 60]]);
  const lasso = await mask(page);
  close(lasso.area, 5000, 0.1);
  assert.deepEqual([lasso.at(100, 80), lasso.at(60, 140)], [255, 0]);
  await page.keyboard.press("Delete");
  await tool(page, "brush");
  await size(page, 8);
  await soft(page, 0);
  await drag(page, photo, [[200, 50], [280, 50], [280, 130], [200, 130], [200, 50]]);
  const outline = (await mask(page)).area;
  await tool(page, "fill");
  const inside = await at(page, photo, 240, 90);
  await page.mouse.click(inside.x, inside.y);
  const filled = await mask(page);
  assert.ok(filled.area > outline + 4500 && filled.area < 9000, `${outline} -> ${filled.area}`);
  assert.deepEqual([filled.at(240, 90), filled.at(100, 90)], [255, 0]);
  await page.done();
});

test("invert, grow and shrink, clear, and all of it undone and done again", async () => {
  const page = await visit();
  await openPlain(page);
  await tool(page, "rectangle");
  await drag(page, photo, [[100, 100], [160, 140]]);
  const areas = [0, (await mask(page)).area];
  const act = async (work) => {
    await work();
    areas.push((await mask(page)).area);
    return areas.at(-1);
  };
  const grown = await act(() => maskMenu(page, "grow"));
  close(grown, 64 * 44, 0.08);
  assert.equal(await act(() => maskMenu(page, "shrink")), areas[1]);
  assert.ok((await act(() => maskMenu(page, "shrink"))) < areas[1]);
  close(await act(() => maskMenu(page, "grow")), areas[1], 0.03); // its corners are round now
  const kept = 320 * 240 - areas.at(-1);
  assert.equal(await act(() => page.keyboard.press("i")), kept);
  await act(() => maskMenu(page, "clear"));
  for (const area of areas.slice(0, -1).reverse()) {
    await page.keyboard.press("Control+z");
    assert.equal((await mask(page)).area, area);
  }
  assert.ok(await page.isDisabled("#undo"));
  for (const area of areas.slice(1)) {
    await page.keyboard.press("Control+Shift+z");
    assert.equal((await mask(page)).area, area);
  }
  assert.ok(await page.isDisabled("#redo"));
  for (let i = 0; i < 60; i++) await page.keyboard.press("i");
  for (let i = 0; i < 60 + areas.length - 1; i++) await page.click("#undo");
  assert.equal((await mask(page)).area, 0);
  await page.done();
});

test("a mask goes out and comes back in", async () => {
  const page = await visit();
  await openPlain(page);
  await tool(page, "ellipse");
  await drag(page, photo, [[50, 50], [200, 200]]);
  const out = await mask(page);
  assert.deepEqual([out.width, out.height], [320, 240]);
  await maskMenu(page, "clear");
  await page.setInputFiles("#mask-file", { name: "mask.png", mimeType: "image/png", buffer: out.file });
  await heard(page, "live", /Mask opened/);
  const back = await mask(page);
  assert.ok(back.data.equals(out.data));
  // One of another size is fitted.
  await forget(page);
  await page.setInputFiles("#mask-file", { name: "mask.png", mimeType: "image/png", buffer: await picture(page, { width: 64, height: 48, draw: "halves" }) });
  await heard(page, "live", /Mask opened/);
  assert.ok((await mask(page)).at(40, 100) > 50, "red is a third of white");
  await page.done();
});

test("a finger draws, two fingers do not", async () => {
  const page = await visit(PHONE);
  await openPlain(page);
  const touch = await page.context().newCDPSession(page);
  const send = (type, ...points) => touch.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(({ x, y }, id) => ({ x, y, id })) });
  const a = await at(page, photo, 80, 120), b = await at(page, photo, 240, 120);
  await send("touchStart", a);
  for (let i = 1; i <= 8; i++) await send("touchMove", { x: a.x + ((b.x - a.x) * i) / 8, y: a.y });
  await send("touchEnd");
  const drawn = await mask(page);
  assert.equal(drawn.at(160, 120), 255);
  const zoom = await page.textContent("#zoom-value");
  await send("touchStart", a);
  await send("touchStart", a, b);
  await send("touchMove", { x: a.x - 40, y: a.y }, { x: b.x + 40, y: b.y });
  await send("touchMove", { x: a.x - 60, y: a.y }, { x: b.x + 60, y: b.y });
  await send("touchEnd");
  assert.ok(parseInt(await page.textContent("#zoom-value"), 10) > parseInt(zoom, 10) * 1.3, "pinching zooms");
  assert.equal((await mask(page)).area, drawn.area);
  await shot(page, "phone-edit");
  await page.done();
});

test("a pen presses harder for a wider line", async () => {
  const page = await visit();
  await openPlain(page);
  await size(page, 40);
  const pen = await page.context().newCDPSession(page);
  const stroke = async (y, force) => {
    const from = await at(page, photo, 60, y), to = await at(page, photo, 260, y);
    const send = (type, { x }, buttons) => pen.send("Input.dispatchMouseEvent", { type, x, y: from.y, button: "left", buttons, clickCount: 1, pointerType: "pen", force });
    await send("mousePressed", from, 1);
    for (let i = 1; i <= 5; i++) await send("mouseMoved", { x: from.x + ((to.x - from.x) * i) / 5 }, 1);
    await send("mouseReleased", to, 0);
    return (await mask(page)).area;
  };
  const light = await stroke(60, 0.2);
  const hard = (await stroke(170, 1)) - light;
  assert.ok(hard > light * 2, `${light} by a light hand, ${hard} by a heavy one`);
  await page.done();
});

test("the arrow keys and Enter draw", async () => {
  const page = await visit();
  await openPlain(page);
  await page.keyboard.press("e");
  await page.keyboard.press("b");
  for (let i = 0; i < 60 && !(await page.evaluate(() => document.activeElement.id === "stage")); i++) await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "stage");
  await page.keyboard.press("Enter");
  for (let i = 0; i < 10; i++) await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  const drawn = await mask(page);
  assert.equal(drawn.at(160, 120), 255);
  assert.equal(drawn.at(185, 120), 255);
  assert.equal(drawn.at(100, 120), 0);
  await page.done();
});
