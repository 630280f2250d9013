// npm ai with @ai-sdk/replicate: an inpainting client with image and mask.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { generateImage } from "ai";
import { createReplicate } from "@ai-sdk/replicate";

const { SERVICE_URL, IMAGE, MASK } = process.env;
const replicate = createReplicate({ apiToken: "any", baseURL: `${SERVICE_URL}/v1` });
const VERSION = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180";
const MODEL = "andreasjansson/stable-diffusion-inpainting";
const prompt = { text: "a client", images: [readFileSync(IMAGE)], mask: readFileSync(MASK) };
const options = (more) => ({ providerOptions: { replicate: { num_inference_steps: 2, ...more } }, maxRetries: 0 });
const png = (image) => Buffer.from(image.uint8Array).subarray(1, 4).toString() === "PNG";

for (const model of [MODEL, `${MODEL}:${VERSION}`]) {
  const { image } = await generateImage({ model: replicate.image(model), prompt, seed: 3, ...options() });
  assert(png(image));
  console.log(`ok   ${model.split(":").length === 1 ? "by name" : "by version"}`);
}

const { images } = await generateImage({ model: replicate.image(MODEL), prompt, n: 2, size: "512x512", ...options() });
assert(images.length === 2 && images.every(png));
console.log("ok   two images, with a size that the model does not know");

const { image } = await generateImage({ model: replicate.image(MODEL), prompt, ...options({ maxWaitTimeInSeconds: 300 }) });
assert(png(image));
console.log("ok   a longer wait than the server allows");

const error = await generateImage({ model: replicate.image(MODEL), prompt: { ...prompt, images: [] }, ...options() }).catch((error) => error);
assert.match(error.message, /image is required/);
console.log("ok   an error that reads well");
