// The mask: one byte a pixel (0 kept, 255 painted, between: blended), and its picture for the view.
// Above 16 million pixels the mask is coarser than the photo; `factor` is mask pixels per photo pixel.
import { canvas } from "../dom.js";

const PIXELS_MAX = 16e6;
export const SET = 8; // from this value on a pixel counts as masked
export const TINT = [255, 64, 129];
export const TINT_CSS = `rgb(${TINT})`;

export function createMask(photoWidth, photoHeight) {
  const factor = Math.min(1, Math.sqrt(PIXELS_MAX / (photoWidth * photoHeight)));
  const picture = canvas(photoWidth * factor, photoHeight * factor);
  const { width, height } = picture;
  const context = picture.getContext("2d", { willReadFrequently: true });
  const alpha = new Uint8Array(width * height);
  const whole = { x: 0, y: 0, width, height };

  const clip = (rect) => {
    const x = Math.max(0, Math.floor(rect.x)), y = Math.max(0, Math.floor(rect.y));
    const right = Math.min(width, Math.ceil(rect.x + rect.width)), bottom = Math.min(height, Math.ceil(rect.y + rect.height));
    return { x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y) };
  };
  const copy = (rect) => {
    const part = new Uint8Array(rect.width * rect.height);
    for (let y = 0; y < rect.height; y++) {
      const from = (rect.y + y) * width + rect.x;
      part.set(alpha.subarray(from, from + rect.width), y * rect.width);
    }
    return part;
  };

  // Take over what was drawn into the picture inside rect; {rect, before, after}, or null when nothing changed.
  function commit(area) {
    const rect = clip(area);
    if (!rect.width || !rect.height) return null;
    const before = copy(rect);
    const pixels = context.getImageData(rect.x, rect.y, rect.width, rect.height).data;
    let changed = false;
    for (let y = 0, i = 0; y < rect.height; y++) {
      for (let x = 0, at = (rect.y + y) * width + rect.x; x < rect.width; x++, at++, i++) {
        const value = pixels[i * 4 + 3];
        if (alpha[at] !== value) { alpha[at] = value; changed = true; }
      }
    }
    return changed ? { rect, before, after: copy(rect) } : null;
  }

  // Put bytes into rect, and show them.
  function put(rect, part) {
    const data = new ImageData(rect.width, rect.height);
    for (let y = 0, i = 0; y < rect.height; y++) {
      for (let x = 0, at = (rect.y + y) * width + rect.x; x < rect.width; x++, at++, i++) {
        alpha[at] = part[i];
        data.data[i * 4] = TINT[0];
        data.data[i * 4 + 1] = TINT[1];
        data.data[i * 4 + 2] = TINT[2];
        data.data[i * 4 + 3] = part[i];
      }
    }
    context.putImageData(data, rect.x, rect.y);
  }

  // Replace everything; what commit() returns.
  function replace(part) {
    const before = alpha.slice();
    if (before.every((value, i) => value === part[i])) return null;
    put(whole, part);
    return { rect: whole, before, after: part.slice() };
  }

  // Replace what is masked and `margin` mask pixels around it by what work(bytes, rect) makes of it.
  function around(margin, work) {
    const masked = bounds(1);
    if (!masked) return null;
    const by = Math.ceil(margin) + 1;
    const rect = clip({ x: masked.x * factor - by, y: masked.y * factor - by, width: masked.width * factor + 2 * by, height: masked.height * factor + 2 * by });
    const before = copy(rect), after = work(before, rect);
    if (before.every((value, i) => value === after[i])) return null;
    put(rect, after);
    return { rect, before, after };
  }

  // The rectangle that holds all masked pixels, in photo pixels; null when there are none.
  function bounds(least = SET) {
    let left = width, right = -1, top = -1, bottom = -1;
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        if (alpha[at] < least) continue;
        if (top < 0) top = y;
        bottom = y;
        if (x < left) left = x;
        if (x > right) right = x;
      }
    }
    if (bottom < 0) return null;
    return { x: left / factor, y: top / factor, width: (right + 1 - left) / factor, height: (bottom + 1 - top) / factor };
  }

  // The same rectangle's worth of pixels that a click at (x, y) would flood: up to what is masked already.
  function flooded(photoX, photoY) {
    const x0 = Math.floor(photoX * factor), y0 = Math.floor(photoY * factor);
    const part = alpha.slice();
    if (x0 < 0 || y0 < 0 || x0 >= width || y0 >= height || part[y0 * width + x0] > 127) return part;
    const stack = [y0 * width + x0];
    while (stack.length) {
      let at = stack.pop();
      if (part[at] > 127) continue;
      const row = at - (at % width);
      while (at > row && part[at - 1] <= 127) at--;
      for (let above = true, below = true; at < row + width && part[at] <= 127; at++) {
        part[at] = 255;
        if (row > 0) {
          const free = part[at - width] <= 127;
          if (free && above) stack.push(at - width);
          above = !free;
        }
        if (row + width < part.length) {
          const free = part[at + width] <= 127;
          if (free && below) stack.push(at + width);
          below = !free;
        }
      }
    }
    // The flood stops in the middle of soft edges: take their outer half along.
    const closed = part.slice();
    for (let i = 0; i < part.length; i++) {
      if (part[i] === 255 || part[i] === 0) continue;
      const x = i % width;
      if ((x && part[i - 1] === 255) || (x < width - 1 && part[i + 1] === 255) || part[i - width] === 255 || part[i + width] === 255) closed[i] = 255;
    }
    return closed;
  }

  return {
    picture, context, width, height, factor, alpha, whole, commit, put, replace, bounds, flooded,
    empty() {
      for (let i = 0; i < alpha.length; i++) if (alpha[i] >= SET) return false;
      return true;
    },
    invert: () => replace(turn(alpha)),
    all: () => replace(new Uint8Array(alpha.length).fill(255)),
    clear: () => replace(new Uint8Array(alpha.length)),
    fill: (x, y) => replace(flooded(x, y)),
    grow: (photoPixels) => around(photoPixels * factor, (part, rect) => spread(part, rect.width, rect.height, photoPixels * factor)),
    // What is not masked grows. One pixel of it around the mask is enough: what lies behind is farther from everything.
    shrink: (photoPixels) => around(1, (part, rect) => turn(spread(turn(part), rect.width, rect.height, photoPixels * factor))),
    // From any picture: white is painted, black is kept, transparent is kept.
    load(bitmap) {
      const scratch = canvas(width, height).getContext("2d");
      scratch.fillStyle = "#000";
      scratch.fillRect(0, 0, width, height);
      scratch.drawImage(bitmap, 0, 0, width, height);
      const { data } = scratch.getImageData(0, 0, width, height);
      const part = new Uint8Array(alpha.length);
      for (let i = 0; i < part.length; i++) part[i] = Math.round(data[i * 4] * 0.299 + data[i * 4 + 1] * 0.587 + data[i * 4 + 2] * 0.114);
      return replace(part);
    },
    // White on black, of the photo's size.
    export: () => grey(picture, { x: 0, y: 0, width: photoWidth, height: photoHeight }, photoWidth, photoHeight, factor),
  };
}

const turn = (bytes) => bytes.map((value) => 255 - value);

// A canvas with the mask's part `region` (photo pixels) in white on black, width x height pixels.
export function grey(picture, region, width, height, factor) {
  const out = canvas(width, height);
  const context = out.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, region.x * factor, region.y * factor, region.width * factor, region.height * factor, 0, 0, width, height);
  const image = context.getImageData(0, 0, width, height);
  for (let i = 0; i < image.data.length; i += 4) {
    image.data[i] = image.data[i + 1] = image.data[i + 2] = image.data[i + 3];
    image.data[i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return out;
}

// Everything within `radius` pixels of a masked one is masked too: by the exact squared distance
// (Felzenszwalb and Huttenlocher 2012), a pass over columns and one over rows.
function spread(alpha, width, height, radius) {
  const far = 1e12;
  const squared = new Float64Array(width * height);
  const longest = Math.max(width, height);
  const line = new Float64Array(longest), vertex = new Int32Array(longest), border = new Float64Array(longest + 1);

  const pass = (start, step, length) => {
    let last = 0;
    vertex[0] = 0;
    border[0] = -far;
    border[1] = far;
    for (let i = 0; i < length; i++) line[i] = squared[start + i * step];
    for (let q = 1; q < length; q++) {
      let s;
      do {
        const v = vertex[last];
        s = (line[q] + q * q - line[v] - v * v) / (2 * q - 2 * v);
      } while (s <= border[last] && --last >= 0);
      last++;
      vertex[last] = q;
      border[last] = s;
      border[last + 1] = far;
    }
    for (let q = 0, k = 0; q < length; q++) {
      while (border[k + 1] < q) k++;
      const v = vertex[k];
      squared[start + q * step] = (q - v) * (q - v) + line[v];
    }
  };

  for (let i = 0; i < squared.length; i++) squared[i] = alpha[i] > 127 ? 0 : far;
  for (let x = 0; x < width; x++) pass(x, width, height);
  for (let y = 0; y < height; y++) pass(y * width, 1, width);
  const out = new Uint8Array(alpha.length);
  for (let i = 0; i < out.length; i++) {
    const inside = radius + 0.5 - Math.sqrt(squared[i]); // the last pixel's cover
    out[i] = Math.max(alpha[i], Math.round(255 * Math.min(1, Math.max(0, inside))));
  }
  return out;
}
