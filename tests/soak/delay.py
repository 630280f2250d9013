"""Passes connections on, and holds back what goes through them for as many milliseconds as the file CONTROL says.

    delay.py HOST PORT TO_HOST TO_PORT CONTROL"""

import asyncio, sys

HOST, PORT, TO_HOST, TO_PORT, CONTROL = sys.argv[1:]


def pause():
    with open(CONTROL) as file:
        return int(file.read()) / 1000


async def pass_on(reader, writer):
    """What comes later is not held back for longer: several pieces may be on the way at the same time."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue()

    async def deliver():
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - loop.time()))
            if not data:
                return
            writer.write(data)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    try:
        while True:
            data = await reader.read(65536)
            queue.put_nowait((loop.time() + pause(), data))
            if not data:
                break
        await delivery
    except OSError:
        delivery.cancel()
    finally:
        writer.close()


async def connected(reader, writer):
    try:
        there, to = await asyncio.open_connection(TO_HOST, int(TO_PORT))
    except OSError:
        writer.close()
        return
    await asyncio.gather(pass_on(reader, to), pass_on(there, writer), return_exceptions=True)


async def main():
    server = await asyncio.start_server(connected, HOST, int(PORT))
    await server.serve_forever()


asyncio.run(main())
