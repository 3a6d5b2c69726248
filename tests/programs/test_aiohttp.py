"""aiohttp, its server and its client, each with an event loop in a coroutine of its own."""


def test_aiohttp_serves_and_fetches_in_coroutines(runner):
    runner.check(
        """
        import asyncio
        import threading
        import time
        import aiohttp
        from aiohttp import web

        async def slow(request):
            await asyncio.sleep(0.2)
            blocking = await asyncio.to_thread(time.sleep, 0.1)
            return web.Response(text=request.match_info["name"])

        async def echo(request):
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            async for message in ws:
                await ws.send_str(message.data)
            return ws

        async def serve():
            app = web.Application()
            app.add_routes([web.get("/ws", echo), web.get("/{name}", slow)])
            server = web.AppRunner(app)
            await server.setup()
            site = web.TCPSite(server, "127.0.0.1", 0)
            await site.start()
            ports.append(site._server.sockets[0].getsockname()[1])
            stop = asyncio.Event()
            stopping.extend([asyncio.get_running_loop(), stop])
            up.set()
            await stop.wait()
            await server.cleanup()

        async def fetch(number):
            async with aiohttp.ClientSession(f"http://127.0.0.1:{ports[0]}") as session:
                async def get(name):
                    async with session.get(f"/{name}") as response:
                        return await response.text()
                names = [f"{number}-{n}" for n in range(20)]
                assert await asyncio.gather(*map(get, names)) == names
                async with session.ws_connect("/ws") as ws:
                    for n in range(20):
                        await ws.send_str(str(n))
                        assert (await ws.receive()).data == str(n)
            done.append(number)

        ports, done, stopping, up = [], [], [], threading.Event()
        server = threading.Thread(target=lambda: asyncio.run(serve()))
        server.start()
        up.wait()
        clients = [threading.Thread(target=lambda n=n: asyncio.run(fetch(n))) for n in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert sorted(done) == [0, 1, 2, 3], done
        loop, stop = stopping
        loop.call_soon_threadsafe(stop.set)
        server.join()
        """
    )
