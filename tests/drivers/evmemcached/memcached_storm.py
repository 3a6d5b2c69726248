"""Many coroutines on few connections, killed and timed out at random: no reply is crossed.

    python memcached_storm.py ADDRESS OPERATIONS [COROUTINES] [CONNECTIONS] [SEED]

Prints what was done; ends with 1 at the first wrong value, lost place or late tick. Each
coroutine has keys of its own, whose values say so; what a server is told by an operation
that was cut off may or may not have happened.
"""

import random
import sys
import time

import coev
import evmemcached

#: What another coroutine may be kept waiting for, in seconds.
LATEST_TICK = 0.05


class Storm:
    def __init__(self, address, operations, coroutines, connections, seed):
        self.client = evmemcached.Client(
            [address], max_connections=connections, socket_timeout=30, dead_retry=0
        )
        self.address = address
        self.left = operations
        self.coroutines = coroutines
        self.random = random.Random(seed)
        self.counts = dict.fromkeys(("done", "missing", "killed", "timed out"), 0)
        self.wrong = []
        self.running = []

    def check(self, key, value):
        if value is None:
            self.counts["missing"] += 1
        elif not value.startswith(f"{key}="):
            self.wrong.append((key, value[:80]))

    def operate(self, name):
        source, client = self.random, self.client
        keys = [f"{name}.{i}" for i in range(5)]
        key = source.choice(keys)
        turn = source.random()
        if turn < 0.5:
            self.check(key, client.get(key))
        elif turn < 0.7:
            # Some fill the buffers of the sockets, so that cuts come in the middle.
            length = source.choice((0, 50, 3000, 200_000 if turn > 0.69 else 10))
            client.set(key, f"{key}={'v' * length}", noreply=turn < 0.6)
        elif turn < 0.85:
            for found, value in client.get_multi(keys).items():
                self.check(found, value)
        elif turn < 0.93:
            client.set_multi({one: f"{one}={'m' * source.randrange(200)}" for one in keys})
        elif turn < 0.97:
            number = client.incr(f"{name}.n") or client.set(f"{name}.n", 1)
            if not isinstance(number, int):
                self.wrong.append((name, number))
        else:
            client.delete(key)

    def work(self, name):
        while self.left > 0 and not self.wrong:
            self.left -= 1
            if self.random.random() < 0.02:
                try:
                    with coev.timeout(self.random.random() * 0.003):
                        self.operate(name)
                except TimeoutError:
                    self.counts["timed out"] += 1
            else:
                self.operate(name)
            self.counts["done"] += 1

    def kill_some(self):
        """Kills a coroutine now and then and puts another in its place."""
        while self.left > 0 and not self.wrong:
            coev.sleep(0.001)
            index = self.random.randrange(self.coroutines)
            victim = self.running[index]
            victim.kill()
            victim.join()
            self.counts["killed"] += 1
            self.running[index] = coev.spawn(self.work, f"k{index}")

    def tick(self, late):
        last = time.monotonic()
        while self.left > 0 and not self.wrong:
            coev.sleep(0.005)
            now, cpu = time.monotonic(), kept_from_the_cpu()
            late.append((now - last - 0.005) - (cpu - self.kept))
            last, self.kept = now, cpu

    def run(self):
        late = []
        self.kept = kept_from_the_cpu()
        self.running += [coev.spawn(self.work, f"k{i}") for i in range(self.coroutines)]
        helpers = [coev.spawn(self.kill_some), coev.spawn(self.tick, late)]
        for helper in helpers:
            helper.join()
        for coroutine in self.running:
            coroutine.join()
        stats = evmemcached.pool_stats()[f"inet:{self.address}"]
        print(self.counts, stats, f"latest tick {max(late) * 1e3:.1f} ms")
        assert not self.wrong, self.wrong
        assert stats["open"] == stats["idle"] and stats["waiting"] == 0, stats
        assert max(late) < LATEST_TICK, sorted(late)[-5:]


def kept_from_the_cpu():
    """Seconds in which this thread was ready and the kernel ran others."""
    try:
        with open("/proc/thread-self/schedstat") as file:
            return int(file.read().split()[1]) * 1e-9
    except OSError:
        return 0.0


if __name__ == "__main__":
    given = sys.argv[1:]
    address, operations, coroutines, connections, seed = (
        given + ["500", "10", "1"][len(given) - 2 :]
    )
    Storm(address, int(operations), int(coroutines), int(connections), int(seed)).run()
