// Opening the page and a photo.
import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { visit, picture, pixels, openPhoto, openPlain, drag, paint, mask, download, heard, shot, PHONE, URL } from "./person.mjs";

test("the page: small, from this server alone, nothing jumps", async () => {
  const page = await visit();
  await page.waitForLoadState("networkidle");
  const { bytes, shift } = await page.evaluate(async () => {
    const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    const shift = await new Promise((resolve) => {
      let sum = 0;
      new PerformanceObserver((list) => { for (const entry of list.getEntries()) sum += entry.value; }).observe({ type: "layout-shift", buffered: true });
      setTimeout(() => resolve(sum), 100);
    });
    return { bytes: entries.reduce((sum, entry) => sum + entry.transferSize, 0), shift };
  });
  assert.ok(bytes > 20000 && bytes < 80000, `${bytes} bytes`);
  assert.equal(shift, 0);
  await shot(page, "welcome");
  const answer = await fetch(URL);
  assert.equal(answer.headers.get("content-encoding"), "gzip");
  assert.match(answer.headers.get("content-security-policy"), /default-src 'none'.*script-src 'self'/);
  assert.doesNotMatch(answer.headers.get("content-security-policy"), /unsafe|\*/);
  await page.done();
});

test("a photo by picker, drop and paste", async () => {
  const page = await visit();
  const chooser = page.waitForEvent("filechooser"); // asked for early: the browser has to be told before the click
  const file = await picture(page, { width: 120, height: 80 });
  await page.click("#welcome-open");
  await (await chooser).setFiles({ name: "a.png", mimeType: "image/png", buffer: file });
  await page.waitForSelector("body[data-mode=edit]");
  for (const [kind, size] of [["drop", 200], ["paste", 240]]) {
    const next = await picture(page, { width: size, height: 100 });
    await page.evaluate(({ kind, base64 }) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], "b.png", { type: "image/png" }));
      const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
        : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true });
      document.querySelector("#stage").dispatchEvent(event);
    }, { kind, base64: next.toString("base64") });
    await heard(page, "live", new RegExp(`${size} by 100`));
  }
  await page.done();
});

test("opening another photo can be undone: the first one is back with its mask", async () => {
  const page = await visit();
  const first = await openPlain(page);
  await drag(page, { width: 320, height: 240 }, [[60, 60], [160, 60]]);
  const drawn = await mask(page);
  await openPhoto(page, await picture(page, { width: 200, height: 100 }));
  await heard(page, "live", /200 by 100/);
  assert.equal((await mask(page)).area, 0);
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => !document.querySelector("#redo").disabled);
  const back = await mask(page);
  assert.deepEqual([back.width, back.height], [320, 240]);
  assert.ok(back.data.equals(drawn.data));
  assert.ok((await pixels(page, (await download(page)).file)).data.equals((await pixels(page, first)).data));
  await page.done();
});

test("a sample photo brings its mask and its words", async () => {
  const page = await visit();
  await page.click("#samples button >> nth=0");
  await page.waitForSelector("body[data-mode=edit]");
  assert.equal(await page.inputValue("#prompt"), "a red apple");
  await page.waitForFunction(() => !document.querySelector("#undo").disabled);
  await shot(page, "edit");
  await page.done();
});

test("a JPEG that says that it is turned is shown the right way up", async () => {
  const page = await visit();
  const plain = await picture(page, { width: 96, height: 64, draw: "halves", type: "image/jpeg" });
  // EXIF orientation 6: the first row is the right side. So red comes to the top.
  const tiff = Buffer.from([0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]);
  const body = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), tiff]);
  const segment = Buffer.concat([Buffer.from([0xff, 0xe1, 0, body.length + 2]), body]);
  await openPhoto(page, Buffer.concat([plain.subarray(0, 2), segment, plain.subarray(2)]), "turned.jpg", "image/jpeg");
  const { width, height, data } = await pixels(page, (await download(page)).file);
  assert.deepEqual([width, height], [64, 96]);
  const top = data.subarray((10 * 64 + 32) * 4), bottom = data.subarray((85 * 64 + 32) * 4);
  assert.ok(top[0] > 200 && top[2] < 60, "red on top");
  assert.ok(bottom[2] > 200 && bottom[0] < 60, "blue below");
  await page.done();
});

test("what is no picture is refused in words, and the photo stays", async () => {
  const page = await visit();
  await openPlain(page);
  await page.setInputFiles("#file", { name: "x.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.waitForSelector("#toast.error:not([hidden])");
  assert.match(await page.textContent("#toast p"), /PNG, JPEG and WebP/);
  assert.equal(await page.getAttribute("body", "data-mode"), "edit");
  await page.done();
});

test("a phone offers its camera; a desktop does not", async () => {
  const phone = await visit(PHONE);
  assert.ok(await phone.isVisible("#welcome-camera"));
  assert.equal(await phone.getAttribute("#camera", "capture"), "environment");
  await phone.done();
  const desktop = await visit();
  assert.ok(!(await desktop.isVisible("#welcome-camera")));
  await desktop.done();
});

test("several models: one is chosen and paints, its code names it, the hints are the default one's", async () => {
  const root = new globalThis.URL("../../", import.meta.url).pathname;
  const server = spawn(process.env.INPAINTD, ["serve", "--listen", "127.0.0.1:0", "--data", `${process.env.WORK}/several`,
    "--model", `${root}models/bundled`, "--model", `tiny=${root}tests/reference/tiny-checkpoint`, "--no-safety"], { stdio: ["ignore", "pipe", "pipe"] });
  try {
    const place = await new Promise((resolve, reject) => {
      let said = "";
      for (const stream of [server.stdout, server.stderr]) {
        stream.on("data", (data) => {
          said += data;
          const found = /listening on (http:\S+)\s/.exec(said);
          if (found) resolve(found[1]);
        });
      }
      server.on("exit", () => reject(new Error(said)));
    });
    const page = await visit({ server: place });
    await openPlain(page, 128, 96);
    await page.waitForSelector("#f-model");
    assert.equal(await page.inputValue("#f-model"), "andreasjansson/stable-diffusion-inpainting");
    assert.equal(await page.inputValue("#f-num_inference_steps"), "20");
    await page.focus("#f-model");
    await page.selectOption("#f-model", "local/tiny");
    assert.equal(await page.evaluate(() => document.activeElement.id), "f-model");
    assert.equal(await page.inputValue("#f-num_inference_steps"), "50");
    await shot(page, "models");
    await page.selectOption("#f-size", "256");
    await drag(page, { width: 128, height: 96 }, [[60, 40], [90, 40]]);
    const [request] = await Promise.all([page.waitForRequest((one) => one.method() === "POST" && one.url().endsWith("/v1/predictions")), paint(page)]);
    const { version } = request.postDataJSON();
    const { results } = await (await fetch(`${place}/v1/models`)).json();
    assert.equal(version, results.find(({ name }) => name === "tiny").latest_version.id);
    assert.ok((await page.textContent("#code-text")).includes(version));
    await page.done();
  } finally {
    server.removeAllListeners("exit");
    server.kill();
    await new Promise((resolve) => (server.exitCode !== null || server.signalCode ? resolve() : server.on("exit", resolve)));
  }
});

test("the model's own hints: its size, steps and words; without them Stable Diffusion's", async () => {
  const page = await visit();
  await openPlain(page);
  await page.waitForFunction(() => document.querySelector("#f-num_inference_steps").value === "20");
  assert.equal(await page.inputValue("#f-size"), "256");
  assert.equal(await page.inputValue("#f-guidance_scale"), "4");
  assert.match(await page.textContent("#f-size-note"), /best at 256 pixels/);
  await page.click("#prompt");
  const offered = () => page.$$eval("#suggest:not([hidden]) [role=option]", (all) => all.map((one) => one.textContent));
  const words = await offered();
  assert.ok(words.length > 70 && words.includes("a red apple"));
  await shot(page, "words");
  // Typed, they get fewer; arrow keys and Enter take one, and Enter alone does not paint yet.
  await page.keyboard.type("appl");
  const some = await offered();
  assert.ok(some.includes("a red apple") && some.every((word) => word.includes("appl")));
  for (let i = 0; i <= some.indexOf("a red apple"); i++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await page.inputValue("#prompt"), "a red apple");
  assert.deepEqual(await offered(), []);
  assert.equal(await page.getAttribute("body", "data-mode"), "edit");
  await page.fill("#prompt", "");
  await page.keyboard.type("xylophone");
  assert.deepEqual(await offered(), words);
  assert.match(await page.textContent("#suggest-title"), /Not among/);
  await page.click(`#words >> text="a red apple"`);
  assert.equal(await page.inputValue("#prompt"), "a red apple");
  await page.done();

  const other = await visit();
  await other.route("**/openapi.json", async (route) => {
    const document = await (await route.fetch()).json();
    delete document["x-hints"];
    await route.fulfill({ json: document });
  });
  await Promise.all([other.waitForResponse("**/openapi.json"), other.reload()]);
  await openPlain(other);
  for (const [name, value] of [["num_inference_steps", "50"], ["guidance_scale", "7.5"], ["size", "512"]]) {
    assert.equal(await other.inputValue(`#f-${name}`), value, name);
  }
  await other.click("#prompt");
  assert.ok(await other.isHidden("#suggest"));
  await other.done();
});
