// The border between original and result: drag it, or move it by the arrow keys.
export function createCompare(divider, stage, view) {
  let share = 0.5;
  let on = false;

  function show() {
    if (!on || !view.photo) return;
    const { x } = view.toScreen(share * view.photo.width, 0);
    const box = stage.getBoundingClientRect();
    const top = Math.max(0, view.toScreen(0, 0).y), bottom = Math.min(box.height, view.toScreen(0, view.photo.height).y);
    divider.style.top = `${top}px`;
    divider.style.height = `${Math.max(44, bottom - top)}px`;
    divider.style.transform = `translateX(${Math.min(box.width, Math.max(0, x))}px)`;
    divider.setAttribute("aria-valuenow", Math.round(share * 100));
    view.setSplit(share);
  }
  const to = (next) => {
    share = Math.min(1, Math.max(0, next));
    show();
  };

  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    event.preventDefault();
    divider.focus({ focusVisible: false });
  });
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    to(view.toPhoto(event.clientX - stage.getBoundingClientRect().left, 0).x / view.photo.width);
  });
  divider.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1 };
    if (steps[event.key]) to(share + steps[event.key]);
    else if (event.key === "Home") to(0);
    else if (event.key === "End") to(1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    get on() { return on; },
    set(next) {
      on = next;
      divider.hidden = !on;
      if (on) to(0.5);
      else view.setSplit(null);
    },
    moved: show,
  };
}
