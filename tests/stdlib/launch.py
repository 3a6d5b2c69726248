"""Run the cases of one file of CPython's tests; note every outcome the moment it is known.

Started by run.py, natively (``python launch.py REQUEST``) and patched (``python -m
coev launch.py REQUEST``): the same file, so that the two runs differ in nothing else.
The tests are loaded and run by unittest; nothing of them or of ``test.support`` is
exchanged. REQUEST is the JSON of a request.Request.

Each line of the journal is one JSON object: ``{"case": ..., "state": "run"}`` when a
case begins and ``{"case": ..., "state": "pass", "text": ...}`` when it ends. What a
crash or a hang leaves behind names the case under way.
"""

import faulthandler
import importlib
import json
import os
import sys
import unittest

#: The worse of two states of one case counts; subtests and clean-ups add states.
SEVERITY = ("pass", "skip", "xfail", "unexpected success", "fail", "error")


class Journal:
    """Appends lines to a file that is open for no longer than each line takes.

    Tests close descriptors that are not theirs, count those that are open and fork
    children that come back here by mistake: none of this can reach the file.
    """

    def __init__(self, path):
        self._path = path
        self._process = os.getpid()

    def write(self, case, state, text=""):
        """Note *state* of *case*; a stray child of a test ends here."""
        if os.getpid() != self._process:
            os._exit(70)
        line = json.dumps({"case": case, "state": state, "text": text}) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


class Result(unittest.TestResult):
    """Notes the beginning and the end of each case in a journal."""

    def __init__(self, journal):
        super().__init__()
        self._journal = journal
        self._state = None
        self._texts = []

    def startTest(self, test):
        super().startTest(test)
        self._state, self._texts = "pass", []
        print(name(test), flush=True)
        self._journal.write(name(test), "run")

    def stopTest(self, test):
        super().stopTest(test)
        self._journal.write(name(test), self._state, "\n".join(self._texts)[-4000:])
        self._state = None

    def _note(self, test, state, text=""):
        if self._state is None:  # of a class or a module, before or after its cases
            self._journal.write(name(test), state, text[-4000:])
            return
        if SEVERITY.index(state) > SEVERITY.index(self._state):
            self._state = state
        if text:
            self._texts.append(text)
            print(text, flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self._note(test, "error", self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note(test, "fail", self.failures[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._note(test, "skip", reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self._note(test, "xfail")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._note(test, "unexpected success")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            text = (self.failures if failed else self.errors)[-1][1]
            self._note(test, "fail" if failed else "error", f"{subtest}\n{text}")


def name(test):
    """Return the id of a case, also where it keeps something else in ``self.id``."""
    return type(test).id(test)


def keep(suite, wanted):
    """Take the cases that *wanted* refuses out of *suite*, in place."""
    kept = []
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            keep(test, wanted)
            kept.append(test)
        elif wanted(name(test)):
            kept.append(test)
    suite._tests = kept


def load(module):
    """Import the file and return its cases as a suite."""
    return unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(module))


def run(request):
    journal = Journal(request["journal"])
    module = request["module"]
    sys.path[0] = request["path"] or os.getcwd()
    faulthandler.enable()
    environment = None
    if request["path"] is None:
        from test import support

        support.verbose = 0
        support.use_resources = request["resources"]
        environment = support
    try:
        suite = load(module)
    except unittest.SkipTest as skipped:
        journal.write(f"{module} (import)", "skip", str(skipped))
        journal.write(f"{module} (exit)", "run")
        return
    only, without = request["only"], set(request["without"])
    keep(suite, lambda case: case not in without and (not only or case in only))
    suite.run(Result(journal))
    if environment is not None:
        environment.gc_collect()
        environment.reap_children()
        state = "fail" if environment.environment_altered else "pass"
        journal.write(f"{module} (environment)", state)
    # Ended by whoever sees the exit status of this process.
    journal.write(f"{module} (exit)", "run")


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
