// Undo and redo without limit. A change of the mask is kept as the bytes before and after, packed in
// runs; any other change as two functions.
export function createUndo(changed) {
  const done = [];
  const undone = [];

  const push = (entry) => {
    done.push(entry);
    undone.length = 0;
    changed();
  };
  const step = async (from, to, way) => {
    const entry = from.pop();
    if (!entry) return false;
    to.push(entry);
    await entry[way]();
    changed();
    return true;
  };

  return {
    // What mask.commit() or mask.replace() returned; null is fine.
    mask(mask, change, show) {
      if (!change) return;
      const { rect } = change;
      const before = pack(change.before), after = pack(change.after), size = rect.width * rect.height;
      const restore = (bytes) => () => { mask().put(rect, unpack(bytes, size)); show(rect); };
      push({ undo: restore(before), redo: restore(after), bytes: before.length + after.length });
    },
    action: (undo, redo) => push({ undo, redo, bytes: 0 }),
    undo: () => step(done, undone, "undo"),
    redo: () => step(undone, done, "redo"),
    clear() { done.length = undone.length = 0; changed(); },
    get canUndo() { return done.length > 0; },
    get canRedo() { return undone.length > 0; },
    get bytes() { return done.concat(undone).reduce((sum, entry) => sum + entry.bytes, 0); },
  };
}

// Runs: a value, then its count in groups of seven bits, lowest first, the last one without the top bit.
export function pack(bytes) {
  const out = [];
  for (let i = 0; i < bytes.length;) {
    const value = bytes[i];
    let count = 1;
    while (i + count < bytes.length && bytes[i + count] === value) count++;
    i += count;
    out.push(value);
    while (count > 127) {
      out.push((count & 127) | 128);
      count >>>= 7;
    }
    out.push(count);
  }
  return Uint8Array.from(out);
}

export function unpack(packed, size) {
  const out = new Uint8Array(size);
  for (let i = 0, at = 0; i < packed.length;) {
    const value = packed[i++];
    let count = 0, shift = 0, group;
    do {
      group = packed[i++];
      count |= (group & 127) << shift;
      shift += 7;
    } while (group & 128);
    out.fill(value, at, at + count);
    at += count;
  }
  return out;
}
