// Pointers, wheel and keys over the stage become strokes, zoom and pan.
//   on: {tool() -> name, stroke(change), locked(), penSaid(down), keyboardPen()}
import { $ } from "../dom.js";

export function createInput(stage, view, tools, brush, on) {
  const ring = $("#ring", stage);
  const pointers = new Map(); // id -> {x, y} in screen pixels
  let active = null;          // the tool in the middle of a stroke
  let pinch = null;           // {distance, x, y} of the last two-finger frame
  let panning = null;
  let space = false;
  let startedAt = 0;
  const pen = { x: 0, y: 0, shown: false, down: false }; // the brush that the arrow keys move, in photo pixels

  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const pointOf = (event) => {
    const { x, y } = at(event);
    const pressure = event.pointerType === "pen" && event.pressure ? 0.15 + 0.85 * event.pressure : 1;
    return { ...view.toPhoto(x, y), pressure, erase: event.altKey || (event.buttons & 32) !== 0 };
  };
  const cursor = () => {
    stage.dataset.cursor = !view.photo ? "none" : panning ? "grabbing" : space || on.tool() === "pan" || on.locked() ? "grab"
      : on.tool() === "brush" || on.tool() === "eraser" ? "ring" : "cross";
  };
  function ringAt(x, y) {
    cursor();
    ring.hidden = !view.photo || on.locked() || (stage.dataset.cursor !== "ring" && !pen.shown);
    const size = Math.max(4, brush.size * view.scale);
    ring.style.width = ring.style.height = `${size}px`;
    ring.style.transform = `translate(${x - size / 2}px, ${y - size / 2}px)`;
  }

  function begin(point) {
    active = tools[on.tool()] ?? null;
    startedAt = performance.now();
    active?.begin(point);
  }
  function finish(keep) {
    if (!active) return;
    const tool = active;
    active = null;
    if (keep) on.stroke(tool.end());
    else tool.cancel();
  }

  stage.addEventListener("pointerdown", (event) => {
    if (!view.photo) return;
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    pen.shown = false;
    if (pointers.size === 2) {
      finish(performance.now() - startedAt > 400); // a second finger: the first one's dab was the start of a pinch
      panning = null;
      pinch = null;
      return;
    }
    if (pointers.size > 2) return;
    if (event.button === 1 || space || on.tool() === "pan" || on.locked()) {
      panning = at(event);
      cursor();
      event.preventDefault();
    } else if (event.button === 0 || event.button === 5) {
      begin(pointOf(event));
    }
  });
  stage.addEventListener("pointermove", (event) => {
    const here = at(event);
    if (event.pointerType !== "touch") ringAt(here.x, here.y);
    if (!pointers.has(event.pointerId)) return;
    pointers.set(event.pointerId, here);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()];
      const now = { distance: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
      if (pinch) {
        view.panBy(now.x - pinch.x, now.y - pinch.y);
        view.zoomAt(view.scale * (now.distance / Math.max(1, pinch.distance)), now.x, now.y);
      }
      pinch = now;
    } else if (panning) {
      view.panBy(here.x - panning.x, here.y - panning.y);
      panning = here;
    } else if (active) {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) active.move(pointOf(one));
    }
  });
  const lift = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    pinch = null;
    panning = null;
    finish(event.type === "pointerup");
    cursor();
  };
  stage.addEventListener("pointerup", lift);
  stage.addEventListener("pointercancel", lift);
  stage.addEventListener("pointerleave", () => { if (!pen.shown) ring.hidden = true; });
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("wheel", (event) => {
    if (!view.photo) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 20 : 1;
    if (event.shiftKey && !event.ctrlKey) return view.panBy(-(event.deltaX || event.deltaY) * unit, 0);
    const { x, y } = at(event);
    view.zoomAt(view.scale * Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0015)), x, y);
    ringAt(x, y);
  }, { passive: false });

  // ---- keys, while the stage has the focus ----
  function showPen() {
    const { x, y } = view.toScreen(pen.x, pen.y);
    pen.shown = true;
    ringAt(x, y);
    if (x < 20 || y < 20 || x > view.width - 20 || y > view.height - 20) view.panBy(view.width / 2 - x, view.height / 2 - y);
  }
  function penUp() {
    if (!pen.down) return;
    pen.down = false;
    ring.classList.remove("down");
    finish(true);
    on.penSaid(false);
  }
  stage.addEventListener("keydown", (event) => {
    if (!view.photo || on.locked() || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = (event.shiftKey ? 4 : 1) * Math.max(1, brush.size / 4);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) {
      if (!pen.shown && !pen.down) Object.assign(pen, view.toPhoto(view.width / 2, view.height / 2));
      else {
        pen.x = Math.min(view.photo.width, Math.max(0, pen.x + moves[event.key][0]));
        pen.y = Math.min(view.photo.height, Math.max(0, pen.y + moves[event.key][1]));
      }
      showPen();
      if (pen.down) active?.move({ x: pen.x, y: pen.y, pressure: 1 });
    } else if (event.key === "Enter") {
      if (!pen.shown) {
        Object.assign(pen, view.toPhoto(view.width / 2, view.height / 2));
        showPen();
      }
      if (pen.down) penUp();
      else if (tools[on.tool()]) {
        pen.down = true;
        ring.classList.add("down");
        begin({ x: pen.x, y: pen.y, pressure: 1 });
        if (on.tool() === "fill") penUp();
        else on.penSaid(true);
      }
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  stage.addEventListener("blur", () => {
    penUp();
    pen.shown = false;
    ring.hidden = true;
  });

  return {
    space(down) {
      space = down;
      cursor();
    },
    // End what is going on, as when the tool changes.
    settle() {
      penUp();
      finish(true);
      cursor();
    },
    // Show the brush's size in the middle of the view, while a slider changes it.
    showBrush(shown) {
      if (shown && view.photo && !on.locked()) ringAt(view.width / 2, view.height / 2);
      else if (!pen.shown) ring.hidden = true;
    },
    brushChanged() {
      if (pen.shown) showPen();
      else if (!ring.hidden) {
        const box = ring.getBoundingClientRect(), place = stage.getBoundingClientRect();
        ringAt(box.left + box.width / 2 - place.left, box.top + box.height / 2 - place.top);
      }
    },
  };
}
