"""Packed files that lie: damage.py IN OUT HOW writes OUT, a packed file that is IN but for one thing."""
import hashlib, json, struct, sys

source, out, how = sys.argv[1:]
data = bytearray(open(source, "rb").read())
offset, length = struct.unpack("<QQ", data[24:40])
directory = json.loads(data[offset:offset + length])
members = {m["name"]: m for m in directory["members"]}
body = data[:offset]


def put(text):
    """The directory, whose hash is right whatever it says."""
    raw = text if isinstance(text, bytes) else json.dumps(text).encode()
    body[24:40] = struct.pack("<QQ", len(body), len(raw))
    body[40:72] = hashlib.sha256(raw).digest()
    open(out, "wb").write(body + raw)


def replace(name, content):
    """The member's bytes, at a new place; its hash is right."""
    member = members[name]
    body.extend(b"\0" * (-len(body) % 4096))
    member.update(offset=len(body), size=len(content), sha256=hashlib.sha256(content).hexdigest())
    body.extend(content)


def content(name):
    return bytes(data[members[name]["offset"]:members[name]["offset"] + members[name]["size"]])


index = json.loads(content("packed/index.json"))
if how == "cut":
    open(out, "wb").write(data[:len(data) // 2])
elif how == "version":
    body[16] = 9
    put(directory)
elif how == "directory":
    data[offset + 20] ^= 1
    open(out, "wb").write(data)
elif how == "json":
    put(b"[" * 1000)
elif how == "outside":
    members["unet/config.json"]["size"] = 2**62
    put(directory)
elif how == "negative":
    members["unet/config.json"]["offset"] = -4096
    put(directory)
elif how == "overlap":
    members["vae/config.json"]["offset"] = members["unet/config.json"]["offset"]
    put(directory)
elif how == "name":
    members["unet/config.json"]["name"] = "../../etc/passwd"
    put(directory)
elif how == "config":
    body[members["unet/config.json"]["offset"] + 5] ^= 1
    put(directory)
elif how == "weights":
    body[members["packed/weights"]["offset"] + 4000] ^= 1
    put(directory)
elif how == "far":
    index["entries"][3]["offset"] = members["packed/weights"]["size"] // 4096 * 4096 + 4096
    replace("packed/index.json", json.dumps(index).encode())
    put(directory)
elif how == "place":
    index["entries"][3]["weights"][0] = ["unet", 2**50]
    replace("packed/index.json", json.dumps(index).encode())
    put(directory)
elif how == "numbers":
    index["entries"][3]["numbers"] = [1] * 1000
    replace("packed/index.json", json.dumps(index).encode())
    put(directory)
elif how == "short":  # what is there is less than the kernel will read
    for entry in index["entries"]:
        entry["size"] //= 2
    replace("packed/index.json", json.dumps(index).encode())
    put(directory)
elif how == "other":  # packed weights are others, wherever our own kernels' layouts are (a library's describe themselves)
    weights = bytearray(content("packed/weights"))
    for entry in index["entries"]:
        if not entry["layout"].startswith("onednn"):
            first, end = entry["offset"], entry["offset"] + entry["size"]
            weights[first:end] = bytes(b ^ 0x40 for b in weights[first:end])
    replace("packed/weights", bytes(weights))
    put(directory)
elif how == "revision":
    index["revision"] += 1
    replace("packed/index.json", json.dumps(index).encode())
    put(directory)
