"""An agent without gridchorus: pyzmq and msgpack only, speaking the wire format of docs/wire.md.

Usage: python examples/edge_agent.py BROKER NAME [TICKS], such as tcp://localhost:5550 west 1000. It takes the
first allowed choice, or zeros; put a device or another program in the place of `decide`.
"""

import json
import os
import struct
import sys
import time

import msgpack
import zmq

LIFE = time.time_ns()  # tells this life of the node from an earlier one
SCHEMAS = {"Action": "648f014fec7a27ec", "Observation": "976cbd5b879c9f67", "NodeStatus": "36be314bc485cff3"}
SIZES = {"<f4": "4f", "<f8": "8d", "<i4": "4i", "<i8": "8q", "|b1": "1?", "|u1": "1B"}


def decide(seen, space):
    """Return the actions of all copies of the grid: dtype, shape and bytes of an array."""
    copies = seen["shape of reward"][0]
    if space["kind"] == "box":
        return "<f4", [copies, len(space["low"])], bytes(4 * copies * len(space["low"]))
    n, mask = space["n"], seen.get("mask") or [True] * (copies * space["n"])
    choices = [mask[copy * n : (copy + 1) * n].index(True) for copy in range(copies)]
    return "<i8", [copies], struct.pack(f"<{copies}q", *choices)


def decoded(frames):
    """Return the fields of a message: scalars and texts as they are, arrays flat."""
    *_, fields, arrays = msgpack.unpackb(frames.pop(0).partition(b"\0")[2])
    for name, dtype, shape, raw in arrays:
        raw = frames.pop(0) if raw is None else raw
        size, code = SIZES.get(dtype, "1s")  # s: a text that is too long for a header
        values = struct.unpack(f"<{len(raw) // int(size)}{code}", raw)
        fields |= {name: values[0].decode() if code == "s" else values, "shape of " + name: shape}
    return fields


def encoded(kind, name, seq, fields, arrays=()):
    """Return the header of a message whose arrays are small enough to ride in it."""
    return msgpack.packb([kind, SCHEMAS[kind], name, LIFE, seq, time.time_ns(), 0.0, fields, arrays])


def ask(letters, operation, name, *frames, **fields):
    """Send a letter to the broker and return the frames of its answer."""
    head = [operation, number := time.monotonic_ns(), {"node": name, "incarnation": LIFE, **fields}]
    letters.send_multipart([msgpack.packb(head), *frames])
    while True:
        head, *rest = letters.recv_multipart()
        kind, answered, body = msgpack.unpackb(head)
        if kind == "refused":
            raise SystemExit(body["error"])
        if answered == number:
            return rest


def main(broker, name, ticks):
    """Answer observations: `ticks` of them, or for ever if that is negative."""
    observed, acted = f"/grid/observation/{name}", f"/agents/{name}/action"
    host, _, port = broker.rpartition(":")
    letters, publisher, subscriber = map(zmq.Context().socket, (zmq.DEALER, zmq.XPUB, zmq.SUB))
    letters.routing_id = f"{name}:{LIFE}".encode()
    for socket, n, end in ((letters, 0, ""), (publisher, 1, ".in"), (subscriber, 2, ".out")):
        socket.connect(f"{host}:{int(port) + n}" if port.isdigit() else broker + end)
    subscriber.setsockopt(zmq.SUBSCRIBE, observed.encode() + b"\0")
    publisher.recv()  # the broker takes everything: publishing is in force
    me = {"host": os.uname()[1], "pid": os.getpid(), "route": letters.routing_id, "takeover": True}
    me["publishes"] = {acted: ["Action", SCHEMAS["Action"], False]}
    me["subscribes"] = {observed: ["Observation", SCHEMAS["Observation"]]}
    ask(letters, "register", name, serves={}, **me)
    status = {"state": "ready", "tick": 0, "received": 0, "sent": 0, "lost": 0, "refused": 0, "note": ""}
    space, due, beats, last, answer = None, 0.0, 0, None, []
    while True:
        if time.monotonic() >= due or status["state"] == "done":  # a heartbeat renews the lease
            beat = [f"/nodes/{name}/status\0".encode(), encoded("NodeStatus", name, beats, status)]
            ask(letters, "lease", name, *beat, status=status)
            due, beats = time.monotonic() + 1.0, beats + 1
            if status["state"] == "done":
                return
        if space is None and (found := ask(letters, "latched", name, topics=["/grid/description"])):
            space = json.loads(decoded([found[0] + found[1], *found[2:]])["spaces"])[name]["action"]
        if space is None or not subscriber.poll(200):
            continue
        seen = decoded(subscriber.recv_multipart())
        if last is None or (seen["epoch"], seen["tick"]) > last:  # else asked again: the same answer again
            last, answer, ticks = (seen["epoch"], seen["tick"]), decide(seen, space), ticks - 1
        fields = {"epoch": last[0], "tick": last[1], "policy_version": 0, "leaving": ticks == -1}
        action = encoded("Action", name, status["sent"], fields, [["action", *answer]])
        publisher.send(acted.encode() + b"\0" + action)
        status |= {"state": "done" if ticks == -1 else "running", "tick": last[1], "sent": status["sent"] + 1}


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else -2)
