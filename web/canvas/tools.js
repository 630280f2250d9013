// The mask's tools. Each gets points in photo pixels: begin(point), move(point), end(), cancel().
// A point: {x, y, pressure (0..1), erase}. end() returns what changed (see mask.commit), or null.
import { TINT, TINT_CSS } from "./mask.js";

const grown = (area, x, y, radius) => ({
  left: Math.min(area.left, x - radius), top: Math.min(area.top, y - radius),
  right: Math.max(area.right, x + radius), bottom: Math.max(area.bottom, y + radius),
});
const FADE_STOPS = 8;
const LAYERS = 4; // with dots a fifth of the radius apart
const nothing = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
const asRect = (area, factor) => ({
  x: area.left * factor - 2, y: area.top * factor - 2,
  width: (area.right - area.left) * factor + 4, height: (area.bottom - area.top) * factor + 4,
});

export function createTools(view, brush) {
  // Brush and eraser: a round line without softness, else overlapping soft dots.
  function stroke(erases) {
    let last = null, area = nothing, rest = 0, erase = false;
    const radiusOf = (point) => Math.max(0.5, (brush.size / 2) * (point.pressure ?? 1));

    // Towards the edge it fades as 3x² - 2x³. In a stroke some four dots lie over each other everywhere:
    // each covers as much as makes that of all of them together.
    function dot(context, x, y, radius, layers) {
      const gradient = context.createRadialGradient(x, y, radius * (1 - brush.soft), x, y, radius);
      for (let i = 0; i <= FADE_STOPS; i++) {
        const t = 1 - i / FADE_STOPS, cover = 1 - (1 - t * t * (3 - 2 * t)) ** (1 / layers);
        gradient.addColorStop(i / FADE_STOPS, `rgba(${TINT},${cover.toFixed(4)})`);
      }
      context.fillStyle = gradient;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fill();
    }
    function segment(from, to) {
      const radius = radiusOf(to);
      const dots = [];
      if (brush.soft) {
        const length = Math.hypot(to.x - from.x, to.y - from.y), spacing = Math.max(0.5, radius / 5);
        if (from === to) dots.push(to);
        for (rest += length; rest >= spacing; rest -= spacing) {
          const t = length ? 1 - (rest - spacing) / length : 1;
          dots.push({ x: from.x + (to.x - from.x) * t, y: from.y + (to.y - from.y) * t });
        }
      }
      view.paintMask((context) => {
        context.globalCompositeOperation = erase ? "destination-out" : "source-over";
        if (brush.soft) for (const { x, y } of dots) dot(context, x, y, radius, from === to ? 1 : LAYERS);
        else {
          context.strokeStyle = TINT_CSS;
          context.lineCap = "round";
          context.lineWidth = 2 * radius;
          context.beginPath();
          context.moveTo(from.x, from.y);
          context.lineTo(to.x, to.y + (from === to ? 0.001 : 0));
          context.stroke();
        }
        context.globalCompositeOperation = "source-over";
      });
      area = grown(grown(area, from.x, from.y, radius), to.x, to.y, radius);
    }
    const finish = () => {
      const change = last ? view.mask.commit(asRect(area, view.mask.factor)) : null;
      last = null;
      return change;
    };
    return {
      begin(point) {
        area = nothing;
        rest = 0;
        erase = erases || point.erase;
        last = point;
        segment(point, point);
      },
      move(point) {
        if (!last) return;
        segment(last, point);
        last = point;
      },
      end: finish,
      cancel() {
        const change = finish();
        if (change) view.mask.put(change.rect, change.before);
        view.maskChanged();
      },
    };
  }

  // Shapes: an outline while the pointer moves, filled at the end.
  function shape(path) {
    let points = [], erase = false;
    return {
      begin(point) {
        points = [point];
        erase = point.erase;
      },
      move(point) {
        points.push(point);
        view.outline((context) => path(context, points));
      },
      end() {
        view.outline(null);
        if (points.length < 2) return null;
        const area = points.reduce((sum, { x, y }) => grown(sum, x, y, 0), nothing);
        view.paintMask((context) => {
          context.globalCompositeOperation = erase ? "destination-out" : "source-over";
          context.fillStyle = TINT_CSS;
          context.beginPath();
          path(context, points);
          context.fill();
          context.globalCompositeOperation = "source-over";
        });
        points = [];
        return view.mask.commit(asRect(area, view.mask.factor));
      },
      cancel() {
        points = [];
        view.outline(null);
      },
    };
  }
  const corners = (points) => {
    const a = points[0], b = points.at(-1);
    return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
  };

  let fillPoint = null;
  return {
    brush: stroke(false),
    eraser: stroke(true),
    lasso: shape((context, points) => {
      points.forEach(({ x, y }, i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
    }),
    rectangle: shape((context, points) => {
      const { x, y, width, height } = corners(points);
      context.rect(x, y, width, height);
    }),
    ellipse: shape((context, points) => {
      const { x, y, width, height } = corners(points);
      context.ellipse(x + width / 2, y + height / 2, width / 2, height / 2, 0, 0, 2 * Math.PI);
    }),
    fill: {
      begin(point) { fillPoint = point; },
      move() {},
      end: () => (fillPoint ? view.mask.fill(fillPoint.x, fillPoint.y) : null),
      cancel() { fillPoint = null; },
    },
  };
}
