// The stage: photo, patch (a result or a preview) and mask, under zoom and pan.
// Two spaces: photo pixels, and CSS pixels from the stage's corner ("screen").
import { $ } from "../dom.js";

const ZOOM_MAX = 32;

export function createView(stage, changed) {
  const photoLayer = $("#photo-layer", stage), maskLayer = $("#mask-layer", stage), shapeLayer = $("#shape-layer", stage);
  const photoContext = photoLayer.getContext("2d"), maskContext = maskLayer.getContext("2d"), shapeContext = shapeLayer.getContext("2d");
  const view = {
    scale: 1, x: 0, y: 0, width: 0, height: 0, ratio: 1,
    photo: null, mask: null,
    patch: null,          // {levels: [canvas, ...], x, y, width, height} in photo pixels, drawn over the photo
    split: null,          // 0..1 of the photo's width: left of it the photo is shown without the patch
    original: false,      // show the photo alone, while a key is held
    maskVisible: true,
  };
  let fitted = true, photoDue = false, maskDue = false, frame = 0;

  const minimum = () => Math.min(0.05, fitScale());
  const fitScale = () => {
    if (!view.photo || !view.width) return 1;
    const margin = Math.min(view.width, view.height) < 500 ? 12 : 28;
    return Math.min((view.width - 2 * margin) / view.photo.width, (view.height - 2 * margin) / view.photo.height, 4);
  };

  function place(context) {
    const { ratio } = view;
    context.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
  }
  function clear(context) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  }
  // The smallest copy that still has a pixel for each of the screen's.
  function level(levels, width) {
    const needed = width * view.scale * view.ratio;
    let best = levels[0];
    for (const candidate of levels) if (candidate.width >= needed) best = candidate;
    return best;
  }
  function drawPhoto() {
    clear(photoContext);
    if (!view.photo) return;
    const { photo, patch } = view;
    place(photoContext);
    photoContext.imageSmoothingEnabled = view.scale * view.ratio < 4;
    photoContext.imageSmoothingQuality = "high";
    photoContext.shadowColor = "rgba(0, 0, 0, .25)";
    photoContext.shadowBlur = 14 * view.ratio;
    photoContext.drawImage(level(photo.levels, photo.width), 0, 0, photo.width, photo.height);
    photoContext.shadowColor = "transparent";
    if (!patch || view.original) return;
    photoContext.save();
    if (view.split !== null) {
      photoContext.beginPath();
      photoContext.rect(view.split * photo.width, 0, photo.width, photo.height);
      photoContext.clip();
    }
    photoContext.drawImage(level(patch.levels, patch.width), patch.x, patch.y, patch.width, patch.height);
    photoContext.restore();
  }
  function drawMask() {
    clear(maskContext);
    if (!view.mask || !view.maskVisible || view.original) return;
    place(maskContext);
    maskContext.imageSmoothingEnabled = view.scale * view.ratio < 4;
    maskContext.drawImage(view.mask.picture, 0, 0, view.photo.width, view.photo.height);
  }
  function draw() {
    frame = 0;
    if (photoDue) drawPhoto();
    if (maskDue) drawMask();
    photoDue = maskDue = false;
  }
  const due = (photo, mask) => {
    photoDue ||= photo;
    maskDue ||= mask;
    if (!frame) frame = requestAnimationFrame(draw);
  };

  function moved() {
    due(true, true);
    changed(view);
  }
  function zoomAt(scale, screenX, screenY) {
    const bounded = Math.min(ZOOM_MAX, Math.max(minimum(), scale));
    view.x = screenX - (screenX - view.x) * (bounded / view.scale);
    view.y = screenY - (screenY - view.y) * (bounded / view.scale);
    view.scale = bounded;
    fitted = false;
    hold();
    moved();
  }
  // Some of the photo always stays in sight.
  function hold() {
    if (!view.photo) return;
    const seen = 60;
    view.x = Math.min(view.width - seen, Math.max(seen - view.photo.width * view.scale, view.x));
    view.y = Math.min(view.height - seen, Math.max(seen - view.photo.height * view.scale, view.y));
  }
  function fit() {
    fitted = true;
    view.scale = fitScale();
    if (view.photo) {
      view.x = (view.width - view.photo.width * view.scale) / 2;
      view.y = (view.height - view.photo.height * view.scale) / 2;
    }
    moved();
  }
  function resize() {
    const box = stage.getBoundingClientRect();
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    if (box.width === view.width && box.height === view.height && ratio === view.ratio) return;
    view.x += (box.width - view.width) / 2;
    view.y += (box.height - view.height) / 2;
    Object.assign(view, { width: box.width, height: box.height, ratio });
    for (const layer of [photoLayer, maskLayer, shapeLayer]) {
      layer.width = Math.max(1, Math.round(box.width * ratio));
      layer.height = Math.max(1, Math.round(box.height * ratio));
    }
    if (fitted) fit();
    drawPhoto();
    drawMask();
  }
  new ResizeObserver(resize).observe(stage);

  return Object.assign(view, {
    fit, zoomAt,
    zoomBy: (factor) => zoomAt(view.scale * factor, view.width / 2, view.height / 2),
    actual: () => zoomAt(1 / view.ratio, view.width / 2, view.height / 2),
    panBy(x, y) {
      view.x += x;
      view.y += y;
      fitted = false;
      hold();
      moved();
    },
    show(photo, mask) {
      Object.assign(view, { photo, mask, patch: null, split: null });
      resize();
      fit();
    },
    setPatch(patch) { view.patch = patch; due(true, false); },
    setSplit(split) { view.split = split; due(true, false); },
    setOriginal(original) { if (view.original !== original) { view.original = original; due(true, true); } },
    setMaskVisible(visible) { view.maskVisible = visible; due(false, true); },
    maskChanged: () => due(false, true),
    toPhoto: (screenX, screenY) => ({ x: (screenX - view.x) / view.scale, y: (screenY - view.y) / view.scale }),
    toScreen: (photoX, photoY) => ({ x: photoX * view.scale + view.x, y: photoY * view.scale + view.y }),
    // Draw the same thing into the mask and, so that a stroke costs only what it covers, into what is seen of it.
    paintMask(paint) {
      view.mask.context.setTransform(view.mask.factor, 0, 0, view.mask.factor, 0, 0);
      paint(view.mask.context);
      view.mask.context.setTransform(1, 0, 0, 1, 0, 0);
      place(maskContext);
      maskContext.save();
      maskContext.beginPath();
      maskContext.rect(0, 0, view.photo.width, view.photo.height);
      maskContext.clip();
      paint(maskContext);
      maskContext.restore();
    },
    // Outlines that are not part of the mask yet; paint(null) just clears. Line widths are in screen pixels.
    outline(path) {
      clear(shapeContext);
      if (!path) return;
      place(shapeContext);
      shapeContext.beginPath();
      path(shapeContext);
      shapeContext.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
      shapeContext.lineJoin = "round";
      for (const [colour, dash, width] of [["rgba(0,0,0,.55)", [], 3], ["#fff", [5, 4], 1.5]]) {
        shapeContext.strokeStyle = colour;
        shapeContext.lineWidth = width;
        shapeContext.setLineDash(dash);
        shapeContext.stroke();
      }
    },
  });
}
