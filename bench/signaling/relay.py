"""A long way between two sockets of one machine: each byte waits half of the round trip. `relay.py PORT TARGET MS`.

What TCP itself does on long ways (handshake, slow start) is not in it; after the upgrade nothing of that is left in a
resume, which is one small message in each direction.
"""

import heapq
import itertools
import select
import socket
import sys
import time


class Way:
    """One direction of a connection."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink


def main():
    port, target, delay = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 2000
    listener = socket.create_server(("127.0.0.1", port), backlog=256)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    ways, due, order = {}, [], itertools.count()
    print("open", flush=True)

    def end(way):
        for one in (way.source, way.sink):
            if one.fileno() in ways:
                del ways[one.fileno()]
                epoll.unregister(one)
            one.close()

    while True:
        # The last millisecond is spent turning: the kernel's timers are no finer.
        wait = max(0, due[0][0] - time.perf_counter() - 0.0015) if due else 1
        for number, _ in epoll.poll(wait):
            if number == listener.fileno():
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", target))
                for source, sink in ((near, far), (far, near)):
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    ways[source.fileno()] = Way(source, sink)
                    epoll.register(source, select.EPOLLIN)
                continue
            way = ways.get(number)
            if way is None:
                continue
            try:
                data = way.source.recv(1 << 16)
            except OSError:
                data = b""
            if data:
                heapq.heappush(due, (time.perf_counter() + delay, next(order), way, data))
            else:
                end(way)
        while due and due[0][0] <= time.perf_counter():
            _, _, way, data = heapq.heappop(due)
            try:
                way.sink.sendall(data)
            except OSError:
                end(way)


if __name__ == "__main__":
    main()
