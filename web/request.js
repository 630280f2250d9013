// From photo, mask and settings to what is sent; and from what comes back to a patch over the photo.
import { canvas, toBlob } from "./dom.js";
import { SET, grey } from "./canvas/mask.js";
import { halved } from "./canvas/photo.js";

const UNIT = 8;         // the model works in blocks of 8 x 8 pixels
const BYTES_MAX = 20e6; // base64 makes it a third more; the server takes 32 MB

// Which part of the photo is sent, and at how many pixels. bounds: of what is to be painted.
// area "auto": a square around it with as much context again; "whole": everything. size: longest side sent, 0 = as it is.
export function plan(photo, bounds, area, size) {
  let region = { x: 0, y: 0, width: photo.width, height: photo.height };
  if (area === "auto") {
    const side = Math.max(bounds.width, bounds.height);
    const wanted = Math.ceil(Math.max(side * 1.6, side + 64, Math.min(size || 512, Math.max(photo.width, photo.height))));
    const axis = (start, length, limit) => {
      const span = Math.min(limit, Math.max(wanted, UNIT));
      return [Math.round(Math.min(limit - span, Math.max(0, start + length / 2 - span / 2))), span];
    };
    const [x, width] = axis(bounds.x, bounds.width, photo.width);
    const [y, height] = axis(bounds.y, bounds.height, photo.height);
    region = { x, y, width, height };
  }
  const scale = size ? Math.min(1, size / Math.max(region.width, region.height)) : 1;
  const blocks = (length) => (scale === 1 ? Math.ceil(length / UNIT) : Math.max(1, Math.round((length * scale) / UNIT))) * UNIT;
  return { region, scale, width: blocks(region.width), height: blocks(region.height) };
}

// {region, width, height, image: Blob, mask: Blob, cover: canvas} or null when nothing is masked.
// cover: what may change, as a picture whose alpha says how much, of the mask's size.
export async function prepare(photo, mask, { area, size, inverted }) {
  const cover = inverted ? turned(mask) : { picture: mask.picture, bounds: mask.bounds() };
  if (!cover.bounds) return null;
  const { region, scale, width, height } = plan(photo, cover.bounds, area, size);

  const image = canvas(width, height);
  const context = image.getContext("2d", { alpha: false });
  context.imageSmoothingQuality = "high";
  if (scale === 1) {
    context.drawImage(photo.canvas, region.x, region.y, region.width, region.height, 0, 0, region.width, region.height);
    // Up to 7 pixels that make whole blocks: the last column and row once more.
    if (width > region.width) context.drawImage(image, region.width - 1, 0, 1, region.height, region.width, 0, width - region.width, region.height);
    if (height > region.height) context.drawImage(image, 0, region.height - 1, width, 1, 0, region.height, width, height - region.height);
  } else {
    const source = photo.levels.findLast((level) => level.width >= photo.width * scale) ?? photo.canvas;
    const factor = source.width / photo.width;
    context.drawImage(source, region.x * factor, region.y * factor, region.width * factor, region.height * factor, 0, 0, width, height);
  }

  const seen = scale === 1 ? { ...region, width, height } : region;
  const black = grey(cover.picture, seen, width, height, mask.factor);
  const edge = black.getContext("2d");
  const pixels = edge.getImageData(0, 0, width, height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const painted = pixels.data[i] >= SET !== inverted;
    pixels.data[i] = pixels.data[i + 1] = pixels.data[i + 2] = painted ? 255 : 0;
  }
  edge.putImageData(pixels, 0, 0);

  let file = await toBlob(image);
  if (file.size > BYTES_MAX) file = await toBlob(image, "image/jpeg", 0.95);
  return { region, scale, width, height, image: file, mask: await toBlob(black), cover: cover.picture, factor: mask.factor };
}

function turned(mask) {
  const picture = canvas(mask.width, mask.height);
  const context = picture.getContext("2d");
  const data = new ImageData(mask.width, mask.height);
  let left = mask.width, right = -1, top = -1, bottom = -1;
  for (let i = 0; i < mask.alpha.length; i++) {
    const value = 255 - mask.alpha[i];
    data.data[i * 4 + 3] = value;
    if (value < SET) continue;
    const x = i % mask.width, y = (i - x) / mask.width;
    left = Math.min(left, x);
    right = Math.max(right, x);
    if (top < 0) top = y;
    bottom = y;
  }
  context.putImageData(data, 0, 0);
  const { factor } = mask;
  const bounds = bottom < 0 ? null
    : { x: left / factor, y: top / factor, width: (right + 1 - left) / factor, height: (bottom + 1 - top) / factor };
  return { picture, bounds };
}

// What was painted, cut to the mask, at the photo's resolution: drawn over the photo it is the result,
// and every pixel that is not masked stays as it was. `longest` bounds the patch for previews.
export function patchOf(bitmap, request, longest = Infinity) {
  const { region, scale, cover, factor } = request;
  const small = Math.min(1, longest / Math.max(region.width, region.height));
  const patch = canvas(region.width * small, region.height * small);
  const context = patch.getContext("2d");
  context.imageSmoothingQuality = "high";
  // At full size the answer may have rows that only filled up blocks: leave them out.
  const used = (full, length) => (scale === 1 ? bitmapShare(full, length) : 1);
  context.drawImage(bitmap, 0, 0, bitmap.width * used(request.width, region.width), bitmap.height * used(request.height, region.height),
    0, 0, patch.width, patch.height);
  context.globalCompositeOperation = "destination-in";
  context.drawImage(cover, region.x * factor, region.y * factor, region.width * factor, region.height * factor, 0, 0, patch.width, patch.height);
  return { ...region, levels: halved(patch) };
}
const bitmapShare = (sent, wanted) => wanted / sent;

// Photo and patch as one canvas of the photo's size.
export function merged(photo, patch) {
  const out = canvas(photo.width, photo.height);
  const context = out.getContext("2d", { alpha: false });
  context.drawImage(photo.canvas, 0, 0);
  if (patch) context.drawImage(patch.levels[0], patch.x, patch.y);
  return out;
}

export const dataUri = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
});
