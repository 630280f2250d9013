"""The other end of fault.c: what shall fail in a program, and what did."""

import errno, mmap, os, struct

NOTHING, ALLOCATIONS, FILES, SOCKETS = range(4)
SHORT = -1
LIBRARY = os.path.join(os.path.dirname(os.environ["INPAINTD"]), "tests", "libfault.so")


class Control:
    """A page that the program maps too. environment: what the program is to be started with."""

    LAYOUT = "iiiiqqqq"  # struct control

    def __init__(self, path):
        with open(path, "wb") as file:
            file.write(bytes(4096))
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)
        self.environment = {"LD_PRELOAD": LIBRARY, "INPAINT_FAULT": path}

    def _field(self, i):
        return struct.unpack(self.LAYOUT, self.page[: struct.calcsize(self.LAYOUT)])[i]

    def _set(self, offset, form, *values):
        self.page[offset : offset + struct.calcsize(form)] = struct.pack(form, *values)

    def arm(self, kind, n, number=errno.ENOMEM, lasting=False):
        self.disarm()
        self._set(4, "iii", number, lasting, 0)
        self._set(16, "qq", n, 0)
        self._set(0, "i", kind)

    def disarm(self):
        """Did something fail since it was armed?"""
        self._set(0, "i", NOTHING)
        return self._field(3) == 1

    def reset(self):
        """Before a program starts: it has allocated nothing."""
        self._set(32, "qq", 0, 0)

    hit = property(lambda self: self._field(3) == 1)
    calls = property(lambda self: self._field(5))
    blocks = property(lambda self: self._field(6))
    bytes = property(lambda self: self._field(7))


def describe(kind, number, n, lasting):
    what = {ALLOCATIONS: "allocation", FILES: "call on a file", SOCKETS: "call on a socket"}[kind]
    how = "half of it done" if number == SHORT else errno.errorcode[number]
    return f"{what} {n}{' and all after it' if lasting else ''}: {how}"
