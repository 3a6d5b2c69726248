"""debugpy: attach to a program, stop in a thread that is a coroutine, look around, go on."""

import json
import time

import pytest
from support_programs import connect, free_port, stop

PROGRAM = """
import os
import threading
import time

def work(number):
    time.sleep(0.2)
    doubled = number * 2
    done.append(doubled)  # here
    time.sleep(0.1)
    done.append("end")

def wait():
    gone.wait()

done, gone = [], threading.Event()
waiter = threading.Thread(target=wait, name="waiter")
waiter.start()
print("up", flush=True)
while not os.path.exists("attached"):
    time.sleep(0.01)
worker = threading.Thread(target=work, args=(21,), name="worker")
worker.start()
worker.join()
gone.set()
waiter.join()
print(done)
"""


class Client:
    """Speaks the Debug Adapter Protocol over a socket."""

    def __init__(self, connection):
        self.stream = connection.makefile("rwb")
        self.connection = connection
        self.sequence = 0
        self.kept = []

    def close(self):
        self.stream.close()
        self.connection.close()

    def send(self, command, **arguments):
        self.sequence += 1
        message = {"seq": self.sequence, "type": "request", "command": command}
        body = json.dumps(message | {"arguments": arguments}).encode()
        self.stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.stream.flush()

    def wait_for(self, kind, name):
        """Return the body of the next event, or response, called *name*."""
        key = "event" if kind == "event" else "command"
        seen = 0
        while True:
            for index in range(seen, len(self.kept)):
                message = self.kept[index]
                if message["type"] == kind and message[key] == name:
                    assert message.get("success", True), message
                    return self.kept.pop(index).get("body")
            seen = len(self.kept)
            self.kept.append(self._read())

    def _read(self):
        length = 0
        while (line := self.stream.readline().strip()) or not length:
            assert line, "the adapter has gone"
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(self.stream.read(length))

    def ask(self, command, **arguments):
        self.send(command, **arguments)
        return self.wait_for("response", command)


@pytest.mark.parametrize("options", [["--wait-for-client"], []], ids=["waiting", "running"])
def test_a_breakpoint_stops_in_a_coroutine(runner, options):
    program = runner.write("program.py", PROGRAM)
    line = PROGRAM.split("\n").index("    done.append(doubled)  # here") + 1
    port = free_port()
    command = ["debugpy", "--listen", f"127.0.0.1:{port}", *options, program]
    log = runner.folder / "log"
    with open(log, "w") as output:
        process = runner.start_module(*command, output=output)
    client = None
    try:
        while not options and "up" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
        client = Client(connect(port, process))
        client.ask("initialize", adapterID="test", clientID="test")
        client.send("attach", justMyCode=True)
        client.wait_for("event", "initialized")
        set_ = client.ask(
            "setBreakpoints", source={"path": str(program)}, breakpoints=[{"line": line}]
        )
        assert set_["breakpoints"][0]["verified"], set_
        client.send("configurationDone")
        client.wait_for("response", "configurationDone")
        client.wait_for("response", "attach")
        runner.write("attached", "")
        stopped = client.wait_for("event", "stopped")
        assert stopped["reason"] == "breakpoint", stopped
        threads = {t["id"]: t["name"] for t in client.ask("threads")["threads"]}
        assert {"MainThread", "worker", "waiter"} <= set(threads.values()), threads
        assert threads[stopped["threadId"]] == "worker"
        frame = client.ask("stackTrace", threadId=stopped["threadId"])["stackFrames"][0]
        assert (frame["name"], frame["line"]) == ("work", line)
        value = client.ask("evaluate", expression="doubled + 1", frameId=frame["id"])
        assert value["result"] == "43"
        time.sleep(0.3)  # all stand still, but for the ticker
        client.ask("next", threadId=stopped["threadId"])
        stopped = client.wait_for("event", "stopped")
        assert stopped["reason"] == "step" and threads[stopped["threadId"]] == "worker", stopped
        client.ask("continue", threadId=stopped["threadId"])
        client.wait_for("event", "terminated")
        assert process.wait(20) == 0
        assert log.read_text().endswith("[42, 'end']\n"), log.read_text()
    finally:
        if client is not None:
            client.close()
        stop(process)
    runner.check_ticks()
