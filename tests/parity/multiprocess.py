"""Scenarios of multiprocessing with forked processes."""

import concurrent.futures
import math
import multiprocessing
import multiprocessing.connection
import multiprocessing.shared_memory
import os
import queue
import threading
import time

mp = multiprocessing.get_context("fork")


def _in_threads(*functions):
    results = [None] * len(functions)

    def run(i):
        results[i] = error_of(functions[i])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def _in_process(function):
    """Run *function* in a process and return what it says."""
    reader, writer = mp.Pipe(duplex=False)
    process = mp.Process(target=lambda: writer.send(error_of(function)))
    process.start()
    said = reader.recv()
    process.join()
    return said, process.exitcode


def processes_start_and_end(say):
    say(_in_process(lambda: math.factorial(4)))
    process = mp.Process(target=print)
    say(process.is_alive(), process.exitcode)
    process = mp.Process(target=os._exit, args=(3,))
    process.start()
    process.join()
    say(process.exitcode, process.is_alive())
    process = mp.Process(target=time.sleep, args=(30,))
    process.start()
    say(process.join(0.05), process.is_alive(), process.exitcode)
    process.terminate()
    process.join()
    say(process.exitcode)


def a_process_does_not_wait_for_threads_of_its_parent(say):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()

    def in_thread():
        process = mp.Process(target=time.sleep, args=(0.01,))
        process.start()
        return process.join(10), process.exitcode

    say(in_thread(), *_in_threads(in_thread))
    stop.set()
    thread.join()


def processes_are_joined_in_threads(say):
    processes = [mp.Process(target=time.sleep, args=(0.05 * i,)) for i in range(3)]
    for process in processes:
        process.start()
    say(*_in_threads(*(process.join for process in processes)))
    say(*(process.exitcode for process in processes))


def threads_run_in_the_child(say):
    def work():
        found = queue.Queue()
        threads = [threading.Thread(target=found.put, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(found.queue), threading.active_count(), threading.current_thread().name

    say(_in_process(work))


def pools_map(say):
    with mp.Pool(3) as pool:
        say(pool.map(math.factorial, range(20), chunksize=3))
        say(
            list(pool.imap(math.factorial, range(5))),
            sorted(pool.imap_unordered(math.factorial, range(5))),
        )
        say(pool.apply(math.factorial, (7,)), pool.apply_async(math.factorial, (8,)).get(10))
        say(error_of(pool.apply, int, ("x",)))
        say(pool.starmap(pow, [(2, 3), (3, 2)]))
        say(error_of(pool.apply_async(time.sleep, (5,)).get, 0.05))
    say(error_of(pool.map, math.factorial, [1]))


def pools_are_closed_and_joined(say):
    pool = mp.Pool(2, maxtasksperchild=2)
    results = [pool.apply_async(math.factorial, (i,)) for i in range(10)]
    pool.close()
    pool.join()
    say([result.get() for result in results])


def pools_are_shared_by_threads(say):
    with mp.Pool(2) as pool:
        say(*_in_threads(*(lambda i=i: pool.map(math.factorial, [i, i + 1]) for i in range(5))))


def executors_run(say):
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=mp) as executor:
        say(list(executor.map(math.factorial, range(10))))
        say(error_of(executor.submit(int, "x").result))
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=mp) as executor:
        say(error_of(executor.submit(os._exit, 1).result))


def queues_carry_items(say):
    carried = mp.Queue(3)
    process = mp.Process(target=lambda: [carried.put(i) for i in range(20)])
    process.start()
    say([carried.get() for _ in range(20)])
    process.join()
    say(error_of(carried.get, timeout=0.05), carried.empty())
    say(error_of(carried.get, False))
    for i in range(3):
        carried.put(i)
    say(error_of(carried.put, 1, timeout=0.05), error_of(carried.put_nowait, 1))
    say([carried.get() for _ in range(3)])
    carried.close()
    carried.join_thread()


def queues_are_shared_by_threads_and_processes(say):
    carried = mp.Queue()
    processes = [mp.Process(target=carried.put, args=(i,)) for i in range(4)]
    threads = [threading.Thread(target=carried.put, args=(i,)) for i in range(4, 8)]
    for worker in processes + threads:
        worker.start()
    say(*sorted(_in_threads(*[carried.get] * 8)))
    for worker in processes + threads:
        worker.join()
    carried.close()
    carried.join_thread()


def simple_and_joinable_queues(say):
    simple = mp.SimpleQueue()
    process = mp.Process(target=lambda: [simple.put(x) for x in ("a", "b", None)])
    process.start()
    say(list(iter(simple.get, None)))
    process.join()
    joinable = mp.JoinableQueue()

    def consume():
        while joinable.get() is not None:
            joinable.task_done()
        joinable.task_done()

    process = mp.Process(target=consume)
    process.start()
    for x in (1, 2, None):
        joinable.put(x)
    say(joinable.join())
    process.join()
    say(error_of(joinable.task_done))
    joinable.close()
    joinable.join_thread()


def locks_exclude_processes_and_threads(say):
    lock = mp.Lock()
    say(lock.acquire(), lock.acquire(False), lock.acquire(timeout=0.02))
    say(*_in_threads(lambda: lock.acquire(timeout=0.02), lambda: lock.acquire(block=False)))
    say(_in_process(lambda: lock.acquire(timeout=0.02)))
    thread = threading.Timer(0.05, lock.release)
    thread.start()
    say(lock.acquire(timeout=5))
    thread.join()
    lock.release()
    say(error_of(lock.release))
    say(error_of(lock.acquire, "x"), error_of(lock.acquire, timeout="x"))
    say(lock.acquire(timeout=-1), lock.acquire(timeout=-1))
    lock.release()


def recursive_locks_belong_to_threads(say):
    lock = mp.RLock()
    say(lock.acquire(), lock.acquire(), repr(lock))
    say(*_in_threads(lambda: lock.acquire(timeout=0.02), lock.release, lambda: repr(lock)))
    say(_in_process(lambda: lock.acquire(timeout=0.02)))
    lock.release()
    say(_in_threads(lambda: lock.acquire(False)))
    lock.release()
    say(_in_threads(lambda: (lock.acquire(False), lock.acquire(), lock.release())))
    say(lock.acquire(timeout=0.02), error_of(lock.release))


def semaphores_count(say):
    semaphore = mp.BoundedSemaphore(2)
    say(semaphore.acquire(), semaphore.acquire(), semaphore.acquire(timeout=0.02))
    say(semaphore.get_value(), repr(semaphore))
    thread = threading.Timer(0.05, semaphore.release)
    thread.start()
    with semaphore:
        say(semaphore.get_value())
    thread.join()
    semaphore.release()
    say(error_of(semaphore.release))


def conditions_events_and_barriers(say):
    condition, event = mp.Condition(), mp.Event()
    say(error_of(condition.wait, 0.01), error_of(condition.notify))

    def wait():
        with condition:
            return condition.wait(10)

    def notify():
        time.sleep(0.1)
        with condition:
            condition.notify_all()

    process = mp.Process(target=notify)
    process.start()
    say(*_in_threads(wait, wait))
    process.join()
    with condition:
        say(condition.wait(0.02), condition.wait_for(lambda: False, 0.02))
    process = mp.Process(target=lambda: (time.sleep(0.05), event.set()))
    process.start()
    say(*_in_threads(event.wait, lambda: event.wait(10)))
    process.join()
    say(event.is_set(), event.wait(0))
    barrier = mp.Barrier(3)
    processes = [mp.Process(target=barrier.wait) for _ in range(2)]
    for process in processes:
        process.start()
    say(barrier.wait(10) in range(3))
    for process in processes:
        process.join()
    say(error_of(barrier.wait, 0.02), barrier.broken)


def values_and_arrays_are_shared(say):
    value, array = mp.Value("i", 0), mp.Array("d", 3)

    def count():
        for _ in range(200):
            with value.get_lock():
                value.value += 1
        array[1] = 2.5

    workers = [mp.Process(target=count) for _ in range(2)]
    workers += [threading.Thread(target=count) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    say(value.value, list(array))


def memory_is_shared(say):
    memory = multiprocessing.shared_memory.SharedMemory(create=True, size=10)

    def write():
        other = multiprocessing.shared_memory.SharedMemory(memory.name)
        other.buf[0] = 7
        other.close()

    _in_process(write)
    say(memory.buf[0])
    memory.close()
    memory.unlink()


def connections_are_waited_for(say):
    pipes = [mp.Pipe(duplex=False) for _ in range(3)]
    say(multiprocessing.connection.wait([reader for reader, _ in pipes], 0.02))

    def send():
        for delay, (_, writer) in zip((0.05, 0, 0.1), pipes):
            time.sleep(delay)
            writer.send(delay)

    process = mp.Process(target=send)
    process.start()
    say(*_in_threads(*(reader.recv for reader, _ in pipes)))
    say(multiprocessing.connection.wait([process.sentinel], 10) == [process.sentinel])
    process.join()
    one, other = mp.Pipe()
    say(one.poll(), one.poll(0.02))
    sender = threading.Thread(target=other.send_bytes, args=(b"x" * 1_000_000,))
    sender.start()
    say(one.poll(10), len(one.recv_bytes()))
    sender.join()
    other.close()
    say(error_of(one.recv))


def listeners_accept(say):
    with multiprocessing.connection.Listener(("127.0.0.1", 0), authkey=b"k") as listener:

        def call():
            with multiprocessing.connection.Client(listener.address, authkey=b"k") as client:
                client.send("called")
                return client.recv()

        process = mp.Process(target=call)
        process.start()
        with listener.accept() as connection:
            say(connection.recv(), connection.send("answered"))
        process.join()
        say(process.exitcode)


def managers_serve(say):
    with mp.Manager() as manager:
        shared, items, lock = manager.dict(), manager.list(), manager.RLock()

        def work(i):
            with lock:
                shared[i] = i * i
                items.append(i)

        workers = [mp.Process(target=work, args=(i,)) for i in range(2)]
        workers += [threading.Thread(target=work, args=(i,)) for i in range(2, 4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        say(sorted(shared.items()), sorted(items))
        carried = manager.Queue()
        thread = threading.Timer(0.05, carried.put, (1,))
        thread.start()
        say(carried.get(), error_of(carried.get, timeout=0.02))
        thread.join()
