// npm replicate 1.4.0 against a running server: run, stream, wait, webhooks, files, paginate, abort.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import Replicate, { parseProgressFromLogs, validateWebhook } from "replicate";

const { SERVICE_URL, DATA_URI_URL, TLS_URL, IMAGE, MASK, LARGE, LARGE_MASK } = process.env;
const MODEL = "andreasjansson/stable-diffusion-inpainting";
const VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180";
const replicate = new Replicate({ auth: "any", baseUrl: `${SERVICE_URL}/v1` });
const wrapped = new Replicate({ auth: "any", baseUrl: `${DATA_URI_URL}/v1` });
const image = readFileSync(IMAGE), mask = readFileSync(MASK);
const uri = (data) => `data:application/octet-stream;base64,${data.toString("base64")}`;
const input = { prompt: "a client", image, mask, num_inference_steps: 2, width: 512, seed: 7 };
const plain = { ...input, image: uri(image), mask: uri(mask) };
// Minutes of work, seconds on the fastest machine: what must still be running when the test looks.
const long = { image: uri(readFileSync(LARGE)), mask: uri(readFileSync(LARGE_MASK)), num_inference_steps: 500, num_outputs: 4 };
const png = (data) => Buffer.from(data).subarray(1, 4).toString() === "PNG";

const cases = {
  async run_with_buffers() {
    const output = await replicate.run(`${MODEL}:${VERSION}`, { input });
    assert.equal(output.length, 1);
    assert.match(output[0], /\/out-0\.png$/); // http outputs are plain strings
    assert(png(await (await fetch(output[0])).arrayBuffer()));
  },
  async run_gives_file_outputs_for_data_uris() {
    const [file] = await wrapped.run(`${MODEL}:${VERSION}`, { input });
    assert(png(await (await file.blob()).arrayBuffer()));
  },
  async run_gives_file_outputs_over_https() {
    if (!TLS_URL) return;
    const secure = new Replicate({ auth: "any", baseUrl: `${TLS_URL}/v1` });
    const [file] = await secure.run(`${MODEL}:${VERSION}`, { input });
    assert.match(file.url().href, /^https:.*\/out-0\.png$/);
    assert(png(await (await file.blob()).arrayBuffer()));
  },
  async run_by_polling_with_progress() {
    const seen = [];
    const options = { input: { ...plain, num_inference_steps: 20 }, wait: { mode: "poll", interval: 50 } };
    await replicate.run(MODEL, options, (prediction) => seen.push(prediction));
    assert.equal(seen.at(-1).status, "succeeded");
    assert.equal(parseProgressFromLogs(seen.at(-1)).percentage, 1);
    assert.match(seen.at(-1).logs, /^Using seed: 7\n/);
  },
  async base_url_without_v1() {
    const seed = new Replicate({ auth: "any", baseUrl: SERVICE_URL });
    assert.equal((await seed.predictions.create({ version: VERSION, input: plain })).model, MODEL);
  },
  async create_get_wait_list_paginate() {
    const created = await replicate.predictions.create({ version: VERSION, input: plain });
    assert.deepEqual(Object.keys(created.urls).sort(), ["cancel", "get", "stream", "web"]);
    assert.equal(created.input.width, undefined);
    assert.equal(created.error, null);
    const done = await replicate.wait(created, { interval: 50 });
    assert.equal(done.status, "succeeded");
    assert(done.metrics.predict_time > 0 && done.metrics.total_time >= done.metrics.predict_time);
    assert.deepEqual((await replicate.predictions.get(created.id)).output, done.output);
    for (let i = 0; i < 101; i++) await replicate.predictions.cancel((await replicate.predictions.create({ model: MODEL, input: plain })).id);
    const ids = new Set();
    let pages = 0;
    for await (const page of replicate.paginate(replicate.predictions.list)) {
      pages++;
      for (const prediction of page) ids.add(prediction.id);
    }
    assert(pages >= 2 && ids.size >= 102 && ids.has(created.id), `${pages} pages, ${ids.size} predictions`);
  },
  async abort_cancels() {
    const controller = new AbortController();
    const running = replicate.run(MODEL, { input: long, wait: { mode: "poll", interval: 50 }, signal: controller.signal },
      () => controller.abort());
    assert.equal(await running, null);
    const { results } = await replicate.predictions.list();
    assert.equal(results[0].status, "canceled");
    assert.equal((await replicate.predictions.cancel(results[0].id)).status, "canceled");
  },
  async stream() {
    const events = [];
    for await (const event of replicate.stream(MODEL, { input })) events.push(event);
    assert.deepEqual(events.map((event) => event.event), ["output", "done"]);
    assert(events.every((event) => /^\d+:\d+$/.test(event.id)));
    const wrappedEvents = [];
    for await (const event of wrapped.stream(MODEL, { input })) wrappedEvents.push(event);
    assert(png(await (await wrappedEvents[0].data.blob()).arrayBuffer())); // a FileOutput
  },
  async files() {
    const file = await replicate.files.create(image, { name: "photo" });
    assert.equal(file.size, image.length);
    assert.deepEqual(await replicate.files.get(file.id), file);
    assert((await replicate.files.list()).results.some((other) => other.id === file.id));
    assert.equal(await replicate.files.delete(file.id), true);
    await assert.rejects(replicate.files.get(file.id), /404/);
  },
  async errors() {
    const error = await replicate.predictions.create({ version: VERSION, input: {} }).catch((error) => error);
    assert.match(error.message, /422 Unprocessable .*image is required/s);
    await assert.rejects(replicate.predictions.get("nobody"), /404 Not Found/);
    await assert.rejects(replicate.predictions.create({ version: "c28b92a7", input: plain }), /Invalid version/);
    await assert.rejects(replicate.run(MODEL, { input: { ...plain, image: uri(Buffer.from("no picture")) } }), /Prediction failed/);
    await assert.rejects(replicate.models.search("inpainting"), /405 Method Not Allowed/);
  },
  async models_and_account() {
    const [owner, name] = MODEL.split("/");
    const model = await replicate.models.get(owner, name);
    assert.equal(model.latest_version.id, VERSION);
    assert.equal((await replicate.models.versions.list(owner, name)).results.length, 2);
    assert.equal((await replicate.models.versions.get(owner, name, VERSION)).id, VERSION);
    assert.equal((await replicate.accounts.current()).type, "user");
    assert.equal((await replicate.hardware.list())[0].sku, "cpu");
    assert.deepEqual((await replicate.collections.list()).results, []);
    assert.deepEqual((await replicate.deployments.list()).results, []);
  },
  async webhooks() {
    const heard = [];
    let refusals = 1;
    const receiver = createServer(async (request, response) => {
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      const body = Buffer.concat(pieces).toString();
      const last = JSON.parse(body).status === "succeeded";
      if (last && refusals-- > 0) {
        heard.push({ refused: request.headers["webhook-id"] });
        response.writeHead(500).end();
        return;
      }
      heard.push({ headers: request.headers, body });
      response.writeHead(200).end();
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => receiver.once("listening", resolve));
    const secret = await replicate.webhooks.default.secret.get();
    const created = await replicate.predictions.create({ version: VERSION, input: plain, webhook: `http://127.0.0.1:${receiver.address().port}/hook?a=b`,
      webhook_events_filter: ["start", "completed"] });
    assert.deepEqual(created.webhook_events_filter, ["start", "completed"]);
    for (let i = 0; i < 1200 && heard.length < 3; i++) await new Promise((resolve) => setTimeout(resolve, 50));
    receiver.close();
    assert.equal(heard.length, 3);
    const [start, refused, completed] = heard;
    assert.equal(JSON.parse(start.body).status, "processing");
    assert.equal(refused.refused, completed.headers["webhook-id"]); // a second try is the same message
    assert.notEqual(start.headers["webhook-id"], completed.headers["webhook-id"]);
    for (const { headers, body } of [start, completed]) {
      const request = { id: headers["webhook-id"], timestamp: headers["webhook-timestamp"], signature: headers["webhook-signature"], body, secret: secret.key };
      assert(await validateWebhook(request));
      assert(!(await validateWebhook({ ...request, body: body + " " })));
    }
    assert.deepEqual(JSON.parse(completed.body), await replicate.predictions.get(created.id));
  },
};

for (const [name, test] of Object.entries(cases)) {
  const began = performance.now();
  await test();
  console.log(`ok   ${name} (${Math.round(performance.now() - began)} ms)`);
}
