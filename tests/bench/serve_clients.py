"""Clients of mtps serve that wrk is not (tests/bench/serve_hard.sh).

  serve_clients.py slow HOST:PORT PID N HEADER BODY WRITE
      N connections at once that dawdle: a third over the head of a request, a third over the
      body, a third takes no answer; a byte a second comes of the first two. One that is
      dropped (that takes no answer: a second after its limit) is opened again, until standard
      input ends; then waits until all are dropped and the server (process PID) has as few
      files as before.
      HEADER, BODY, WRITE: the server's limits in seconds. Prints "up" when all are connected,
      then: opened N late SECONDS end SECONDS
        late: the longest that one was kept beyond its limit (of those that dawdle over
              heads and bodies: a client that does not read cannot see its end)
        end:  from the end of the last limit until the server has its files back

  serve_clients.py probe HOST:PORT PATH BODY [LIMIT_MS]
      One request after another, each on a connection of its own. Without LIMIT_MS: prints the
      p99 of 500, in ms. With it: prints the seconds until 20 in a row are answered with 200
      within the limit.
"""
import http.client
import os
import select
import socket
import sys
import time

READS = 2000  # answers that a client asks for and does not take: more than the kernel holds


class Slow:
    def __init__(self, kind, address):
        self.kind = kind
        self.socket = socket.socket()
        if kind == "read":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(address)
        self.socket.setblocking(False)
        self.began = time.monotonic()
        self.send({
            "head": b"POST /v1/models/w2:predict HTTP/1.1\r\nHost: x\r\nX-",
            "body": b"POST /v1/models/w2:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{",
            "read": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * READS,
        }[kind])

    def send(self, data):
        try:
            self.socket.send(data)
        except OSError:
            pass  # its end is seen by reading


def files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def slow(host, pid, n, header, body, write):
    name, port = host.rsplit(":", 1)
    address = (name, int(port))
    limits = {"head": header, "body": body, "read": write}
    kinds = list(limits)
    before = files(pid)
    poll = select.epoll()
    clients = {}
    opened = 0
    late = 0.0

    def add(kind):
        nonlocal opened
        one = Slow(kind, address)
        clients[one.socket.fileno()] = one
        if kind != "read":
            poll.register(one.socket, select.EPOLLIN | select.EPOLLRDHUP)
        opened += 1

    for i in range(n):
        add(kinds[i % 3])
    print("up", flush=True)
    poll.register(0, select.EPOLLIN | select.EPOLLHUP)
    stopped = None
    tick = time.monotonic()
    while stopped is None or any(c.kind != "read" for c in clients.values()) or files(pid) > before:
        for fd, _ in poll.poll(0.1):
            if fd == 0:
                poll.unregister(0)
                stopped = time.monotonic()
                continue
            one = clients[fd]
            try:
                if one.socket.recv(4096):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            late = max(late, time.monotonic() - one.began - limits[one.kind])
            poll.unregister(fd)
            one.socket.close()
            del clients[fd]
            if stopped is None:
                add(one.kind)
        now = time.monotonic()
        if now - tick >= 1:
            tick = now
            for one in list(clients.values()):
                if one.kind != "read":
                    one.send(b"a")
                elif stopped is None and now - one.began > write + 1:
                    del clients[one.socket.fileno()]
                    one.socket.close()
                    add("read")
        if stopped is not None and now - stopped > 120:
            break
    print(f"opened {opened} late {late:.2f} end {max(0, time.monotonic() - stopped - max(limits.values())):.2f}")


def ask(host, path, body):
    """Seconds, and whether the answer was 200."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        good = connection.getresponse().status == 200
    except OSError:
        good = False
    connection.close()
    return time.monotonic() - began, good


def probe(host, path, body, limit):
    if limit is None:
        times = sorted(ask(host, path, body)[0] for _ in range(500))
        print(f"{times[int(len(times) * 0.99)] * 1000:.3f}")
        return
    began = first = time.monotonic()
    row = 0
    while row < 20 and time.monotonic() - began < 120:
        if row == 0:
            first = time.monotonic()
        seconds, good = ask(host, path, body)
        row = row + 1 if good and seconds * 1000 <= limit else 0
    print(f"{first - began:.2f}")


if __name__ == "__main__":
    if sys.argv[1] == "slow":
        slow(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *(float(s) for s in sys.argv[5:8]))
    else:
        probe(sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5]) if len(sys.argv) > 5 else None)
