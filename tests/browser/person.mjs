// A person in front of the page: opens it, draws, reads, downloads.
import { chromium } from "playwright-core";
import { readFile } from "node:fs/promises";
import assert from "node:assert/strict";

export const URL = process.env.URL;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
export const leave = () => browser.close();

export const DESKTOP = { viewport: { width: 1280, height: 800 } };
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

// How long anything may take on a slow machine that has much else to do. Nothing here expects to wait that long.
const PATIENCE = 180000;

// Runs in the page before its own code: everything it says is kept, so that what is over in no time was seen too.
function record() {
  window.seen = { status: [], live: [], mode: [] };
  new MutationObserver((records) => {
    for (const { target, addedNodes, type } of records) {
      if (type === "attributes") window.seen.mode.push(target.dataset.mode);
      else for (const node of addedNodes) window.seen[target.id]?.push(node.textContent);
    }
  }).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-mode"] });
}
// Wait until the page has said something: of ("status", "live" or "mode"), a pattern. -> the first text that matched
export async function heard(page, of, pattern) {
  const found = await page.waitForFunction(({ of, source }) => window.seen[of].find((text) => new RegExp(source).test(text)),
    { of, source: pattern.source });
  return found.jsonValue();
}
export const forget = (page) => page.evaluate(() => { for (const list of Object.values(window.seen)) list.length = 0; });

// A fresh browser profile with the page open. Anything the page complains about fails the test that closes it.
export async function visit({ path = "/", server = URL, ...options } = {}) {
  const context = await browser.newContext({ ...DESKTOP, ...options });
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(record);
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(server) && !/^(data|blob):/.test(request.url())) complaints.push(`asked another host: ${request.url()}`);
  });
  await page.goto(server + path);
  await page.waitForSelector("body:not(.loading)");
  return Object.assign(page, {
    complaints,
    async done() {
      await context.close();
      assert.deepEqual(complaints, []);
    },
  });
}

// A picture made by the browser: draw(context, width, height) as source text. -> Buffer
export async function picture(page, { width, height, draw = PLAIN, type = "image/png" }) {
  const base64 = await page.evaluate(async ({ width, height, draw, type }) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    const paints = {
      plain() {
        const sky = context.createLinearGradient(0, 0, width, height);
        sky.addColorStop(0, "#8fb7e0");
        sky.addColorStop(0.6, "#d8c9a8");
        sky.addColorStop(1, "#5d7a45");
        context.fillStyle = sky;
        context.fillRect(0, 0, width, height);
        for (let i = 0; i < 200; i++) {
          context.fillStyle = `hsl(${(i * 37) % 360} 60% 50%)`;
          context.fillRect((i * 131) % width, (i * 197) % height, 5, 5);
        }
      },
      halves() { // red left, blue right
        context.fillStyle = "#f00";
        context.fillRect(0, 0, width / 2, height);
        context.fillStyle = "#00f";
        context.fillRect(width / 2, 0, width / 2, height);
      },
    };
    paints[draw]();
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 0.95));
    const bytes = new Uint8Array(await blob.arrayBuffer());
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return btoa(text);
  }, { width, height, draw, type });
  return Buffer.from(base64, "base64");
}
const PLAIN = "plain";

// What a file shows: {width, height, data: Buffer of RGBA}.
export async function pixels(page, file) {
  const { width, height, data } = await page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes]));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    let text = "";
    for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
    return { width: bitmap.width, height: bitmap.height, data: btoa(text) };
  }, file.toString("base64"));
  return { width, height, data: Buffer.from(data, "base64") };
}

export async function openPhoto(page, file, name = "photo.png", mimeType = "image/png") {
  await page.setInputFiles("#file", { name, mimeType, buffer: file });
  await page.waitForSelector("body[data-mode=edit]");
  await page.waitForFunction(() => document.querySelector("#zoom-value").textContent !== "");
}
export async function openPlain(page, width = 320, height = 240) {
  const file = await picture(page, { width, height });
  await openPhoto(page, file);
  return file;
}

// Where a pixel of a photo that is fitted into the stage is on the screen (the view centres it).
export async function at(page, photo, x, y) {
  const box = await page.locator("#stage").boundingBox();
  const margin = Math.min(box.width, box.height) < 500 ? 12 : 28;
  const scale = Math.min((box.width - 2 * margin) / photo.width, (box.height - 2 * margin) / photo.height, 4);
  return { x: box.x + box.width / 2 + (x - photo.width / 2) * scale, y: box.y + box.height / 2 + (y - photo.height / 2) * scale };
}
// Press, move over the points (of the photo), release.
export async function drag(page, photo, points, { button = "left" } = {}) {
  const screen = await Promise.all(points.map(([x, y]) => at(page, photo, x, y)));
  await page.mouse.move(screen[0].x, screen[0].y);
  await page.mouse.down({ button });
  for (const { x, y } of screen.slice(1)) await page.mouse.move(x, y, { steps: 4 });
  await page.mouse.up({ button });
}
export const tool = (page, name) => page.click(`[data-tool=${name}]`);

export async function saved(page, act) {
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  return { name: download.suggestedFilename(), file: await readFile(await download.path()) };
}
export async function maskMenu(page, item) {
  await page.click("#mask-menu > button");
  await page.click(`#mask-menu [data-mask=${item}]`);
}
// The mask as the page exports it: {width, height, area (pixels above half), at(x, y)}.
export async function mask(page) {
  const { file } = await saved(page, () => maskMenu(page, "export"));
  const { width, height, data } = await pixels(page, file);
  let area = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i] > 127) area++;
  return { width, height, area, data, file, at: (x, y) => data[(y * width + x) * 4] };
}
export const close = (actual, expected, share = 0.05) =>
  assert.ok(Math.abs(actual - expected) <= expected * share, `${actual} should be within ${share * 100}% of ${expected}`);

// Type a number into a field of the settings.
export async function settle(page, name, value) {
  await page.fill(`#f-${name}`, String(value));
  await page.locator(`#f-${name}`).blur();
}
// Paint what is masked, in few steps; returns when the results are there.
export async function paint(page, { prompt = "a red apple", steps = 2 } = {}) {
  await settle(page, "num_inference_steps", steps);
  await page.fill("#prompt", prompt);
  await painted(page, () => page.click("#paint"));
}
// Do what makes the page paint; returns when the results are there.
export async function painted(page, act) {
  await forget(page);
  await act();
  await heard(page, "mode", /painting/);
  await page.waitForSelector("body[data-mode=result]");
}

const VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180";
const uri = (file) => `data:image/png;base64,${file.toString("base64")}`;
// A prediction made by somebody else.
export async function post(input, headers = {}) {
  const answer = await fetch(`${URL}/v1/predictions`, {
    method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify({ version: VERSION, input }),
  });
  return answer.json();
}
export const look = async (id) => (await fetch(`${URL}/v1/predictions/${id}`)).json();
export const stop = (id) => fetch(`${URL}/v1/predictions/${id}/cancel`, { method: "POST" });

// As many steps at 256 x 256 as this machine takes some seconds for.
let pace = 0;
export async function stepsFor(page, seconds) {
  if (!pace) {
    const image = uri(await picture(page, { width: 256, height: 256 }));
    let now = await post({ image, mask: image, num_inference_steps: 10 }, { Prefer: "wait=60" });
    while (now.status !== "succeeded") now = await look(now.id);
    pace = now.metrics.predict_time / 10;
  }
  return Math.min(500, Math.max(8, Math.round(seconds / pace)));
}
// A prediction that keeps the server busy until it is stopped, on any machine. -> its id
export async function occupy(page) {
  const image = uri(await picture(page, { width: 512, height: 512 }));
  return (await post({ image, mask: image, num_inference_steps: 500, num_outputs: 4 })).id;
}
export async function download(page, format = "image/png") {
  return saved(page, async () => {
    await page.click("#download");
    await page.click(`[data-format="${format}"]`);
  });
}
export const shot = (page, name) => page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png` });
