// The photo: decoded, turned the right way up, at full resolution, with halved copies for a smooth view.
import { canvas } from "../dom.js";

const PIXELS_MAX = 48e6; // what browsers hold in one canvas with some room left
const SIDE_MAX = 16384;

// From a Blob. {canvas, width, height, blob, levels, scaled}; throws when it is no picture.
export async function openPhoto(blob) {
  const bitmap = await decode(blob);
  const scale = Math.min(1, SIDE_MAX / bitmap.width, SIDE_MAX / bitmap.height, Math.sqrt(PIXELS_MAX / (bitmap.width * bitmap.height)));
  const full = canvas(bitmap.width * scale, bitmap.height * scale);
  const context = full.getContext("2d", { alpha: false });
  context.fillStyle = "#fff"; // what shows through transparent parts
  context.fillRect(0, 0, full.width, full.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, full.width, full.height);
  bitmap.close?.();
  return { canvas: full, width: full.width, height: full.height, blob, levels: halved(full), scaled: scale < 1 };
}

// An <img> reads all that createImageBitmap reads, and more (SVG, HEIC where the system has it).
export async function decode(blob) {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    const image = new Image();
    image.src = URL.createObjectURL(blob);
    try {
      await image.decode();
      return await createImageBitmap(image, { imageOrientation: "from-image" });
    } finally {
      URL.revokeObjectURL(image.src);
    }
  }
}

// Copies of half the size each, so that a small view of a big photo costs little and shimmers less.
export function halved(full) {
  const levels = [full];
  for (let last = full; last.width * last.height > 5e5; levels.push(last)) {
    const half = canvas(last.width / 2, last.height / 2);
    const context = half.getContext("2d", { alpha: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(last, 0, 0, half.width, half.height);
    last = half;
  }
  return levels;
}
