#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Forwards TCP connections, late: delay_proxy.py LISTEN_HOST PORT TARGET_HOST TARGET_PORT

Each line "SECONDS" on its standard input delays all bytes that come from then on by so much, in
both directions, in order. Says "ready" when it listens; ends with its standard input.
"""
import asyncio
import socket
import sys

CHUNK_BYTES = 1 << 16


class Proxy:
    def __init__(self, target):
        self.target = target
        self.delay = 0.0

    async def _write(self, queue, writer):
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(due - loop.time(), 0))
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _pump(self, reader, writer):
        """What one side says, to the other, until either has enough."""
        queue = asyncio.Queue()
        writing = asyncio.create_task(self._write(queue, writer))
        try:
            while data := await reader.read(CHUNK_BYTES):
                queue.put_nowait((asyncio.get_running_loop().time() + self.delay, data))
        except OSError:
            pass
        queue.put_nowait((0, b""))
        try:
            await writing
        except OSError:
            pass

    async def serve(self, reader, writer):
        try:
            other_reader, other_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        for each in (writer, other_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pumps = [asyncio.create_task(self._pump(reader, other_writer)),
                 asyncio.create_task(self._pump(other_reader, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for each in (writer, other_writer):
            each.close()


async def main():
    host, port, target_host, target_port = sys.argv[1:]
    proxy = Proxy((target_host, int(target_port)))
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with await asyncio.start_server(proxy.serve, host, int(port)):
        print("ready", flush=True)
        while line := await orders.readline():
            proxy.delay = float(line)


if __name__ == "__main__":
    asyncio.run(main())
