"""redis-py against a redis-server."""


def test_a_blocking_pop_waits_in_its_coroutine(runner, redis_port):
    runner.check(
        """
        import sys
        import threading
        import time
        import redis

        client = redis.Redis(port=int(sys.argv[1]))
        client.delete("jobs")
        got = []
        workers = [threading.Thread(target=lambda: got.append(client.blpop("jobs"))) for _ in range(10)]
        for worker in workers:
            worker.start()
        time.sleep(0.3)
        assert not got
        client.rpush("jobs", *range(10))
        for worker in workers:
            worker.join()
        assert sorted(got) == [(b"jobs", b"%d" % n) for n in range(10)], got
        began = time.monotonic()
        assert client.blpop("jobs", timeout=1) is None
        assert time.monotonic() - began > 0.9
        """,
        redis_port,
    )


def test_subscribers_receive_what_is_published(runner, redis_port):
    runner.check(
        """
        import sys
        import threading
        import time
        import redis

        client = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
        heard, threaded, ready = [], [], threading.Barrier(6)

        def listen():
            with client.pubsub() as subscriber:
                subscriber.subscribe("news")
                for message in subscriber.listen():
                    if message["type"] == "subscribe":
                        ready.wait()
                    elif message["data"] == "end":
                        return
                    else:
                        heard.append(message["data"])

        listeners = [threading.Thread(target=listen) for _ in range(5)]
        for listener in listeners:
            listener.start()
        subscriber = client.pubsub()
        subscriber.subscribe(news=lambda message: threaded.append(message["data"]))
        thread = subscriber.run_in_thread(sleep_time=0.05)
        ready.wait()
        time.sleep(0.2)
        for n in range(20):
            client.publish("news", n)
            time.sleep(0.01)
        client.publish("news", "end")
        for listener in listeners:
            listener.join()
        thread.stop()
        thread.join()
        assert sorted(map(int, heard)) == sorted(list(range(20)) * 5), heard
        assert threaded[:20] == [str(n) for n in range(20)], threaded
        """,
        redis_port,
    )


def test_a_hundred_threads_share_a_pool_of_connections(runner, redis_port):
    runner.check(
        """
        import sys
        import threading
        import redis

        pool = redis.BlockingConnectionPool(
            port=int(sys.argv[1]), max_connections=10, timeout=20, decode_responses=True
        )
        client = redis.Redis(connection_pool=pool)
        client.delete("count")

        def work(number):
            for n in range(20):
                client.incr("count")
                with client.pipeline() as pipe:
                    pipe.set(f"key:{number}", n).get(f"key:{number}")
                    assert pipe.execute() == [True, str(n)]

        errors = []
        threading.excepthook = errors.append
        threads = [threading.Thread(target=work, args=(n,)) for n in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors[0]
        assert client.get("count") == "2000", client.get("count")
        assert int(client.info("clients")["connected_clients"]) < 40
        """,
        redis_port,
    )
