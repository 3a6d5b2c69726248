"""The runner of CPython's tests, on files made to crash, to hang and to differ."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from run_script import ROOT, TESTS, describe

RUNNER = TESTS / "stdlib" / "run.py"


@pytest.fixture
def run(tmp_path):
    """Return a function: run the runner on files given as texts, by their names."""

    def run(*options, listed="", **files):
        suite = tmp_path / "suite"
        suite.mkdir(exist_ok=True)
        for name, text in files.items():
            head = "import os, sys, time, unittest\npatched = 'coev.monkey' in sys.modules\n"
            (suite / f"{name}.py").write_text(head + textwrap.dedent(text))
        differences = tmp_path / "differences.txt"
        differences.write_text(listed)
        command = [sys.executable, str(RUNNER), "--suite", str(suite), "--coev", str(ROOT)]
        command += ["--differences", str(differences), "--timeout", "2", "--repeat", "1"]
        command += ["--record", str(tmp_path), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path)
        assert done.returncode in (0, 1), describe(done)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return done, json.loads((tmp_path / f"{version}.json").read_text())["files"]

    return run


def test_cases_that_pass_in_both_runs_are_counted_and_others_are_not(run):
    done, files = run(
        test_fine="""
        class Cases(unittest.TestCase):
            def test_passes(self): pass
            @unittest.expectedFailure
            def test_known(self): self.fail()
            @unittest.skip("")
            def test_skipped(self): pass
            def test_fails_in_both(self): self.fail()
            def test_fails_natively(self): self.assertTrue(patched)
            def test_fails_in_a_subtest_of_both(self):
                for number in 1, 2:
                    with self.subTest(number): self.assertEqual(number, 2)
        """
    )
    assert done.returncode == 0, describe(done)
    assert files == {"test_fine": {"native": 3, "coev": 3}}  # with the exit


def test_case_that_fails_only_patched_is_a_difference(run):
    done, files = run(
        test_differs="""
        class Cases(unittest.TestCase):
            def test_other(self): pass
            def test_differs(self): self.assertFalse(patched)
            def test_differs_in_a_subtest(self):
                for number in 1, 2:
                    with self.subTest(number): self.assertFalse(patched and number == 1)
        """
    )
    assert done.returncode == 1
    assert files["test_differs"]["differ"] == [
        "test_differs.Cases.test_differs",
        "test_differs.Cases.test_differs_in_a_subtest",
    ]
    assert "test_differs.Cases.test_differs: fail: AssertionError: True is not false" in done.stdout


def test_crash_and_hang_cost_only_their_own_cases(run):
    done, files = run(
        test_ends="""
        class Cases(unittest.TestCase):
            def test_1_before(self): pass
            def test_2_crashes(self):
                if patched: os.abort()
            def test_3_hangs(self):
                if patched: time.sleep(60)
            def test_4_leaves(self):
                if patched: os._exit(0)
            def test_5_after(self): pass
        """
    )
    assert done.returncode == 1
    assert files["test_ends"] == {
        "native": 6,
        "coev": 3,
        "differ": [f"test_ends.Cases.test_{name}" for name in ("2_crashes", "3_hangs", "4_leaves")],
    }
    assert "test_2_crashes: crash: SIGABRT" in done.stdout
    assert "test_3_hangs: hang" in done.stdout


def test_crash_at_exit_is_a_difference(run):
    done, files = run(
        test_exit="""
        import atexit
        if patched: atexit.register(os.abort)
        class Cases(unittest.TestCase):
            def test_passes(self): pass
        """
    )
    assert done.returncode == 1
    assert files["test_exit"]["differ"] == ["test_exit (exit)"]


def test_cases_of_a_class_that_cannot_be_set_up_are_missed(run):
    done, files = run(
        test_set_up="""
        class Cases(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                if patched: raise OSError("no")
            def test_passes(self): pass
        """
    )
    assert done.returncode == 1
    assert files["test_set_up"]["differ"] == ["test_set_up.Cases.test_passes"]


def test_stray_child_of_a_case_is_not_taken_for_the_run(run):
    done, files = run(
        test_forks="""
        import warnings
        warnings.simplefilter("ignore")
        class Cases(unittest.TestCase):
            def test_1_forks(self):
                child = os.fork()
                if child: os.waitpid(child, 0)
            def test_2_passes(self): self.assertTrue(True)
        """
    )
    assert done.returncode == 0, describe(done)
    assert files["test_forks"] == {"native": 3, "coev": 3}


def test_listed_case_must_differ(run):
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    done, files = run(
        listed=f"# comment\n{version} test_lists.Cases.test_differs because of this\n",
        test_lists="""
        class Cases(unittest.TestCase):
            def test_differs(self): self.assertFalse(patched)
        """,
    )
    assert done.returncode == 0, describe(done)
    assert files["test_lists"]["listed"] == ["test_lists.Cases.test_differs"]
    done, files = run(
        listed=f"3.1,{version} test_lists.Cases.test_passes because of this\n",
        test_lists="""
        class Cases(unittest.TestCase):
            def test_passes(self): pass
        """,
    )
    assert done.returncode == 1
    assert "test_lists.Cases.test_passes: is on the list, and passes" in done.stdout


def test_case_that_passes_when_repeated_alone_is_unstable(run, tmp_path):
    done, files = run(
        test_flickers=f"""
        class Cases(unittest.TestCase):
            def test_flickers(self):
                if patched and not os.path.exists({os.fspath(tmp_path / "seen")!r}):
                    open({os.fspath(tmp_path / "seen")!r}, "w").close()
                    self.fail()
        """
    )
    assert done.returncode == 0, describe(done)
    assert files["test_flickers"]["unstable"] == ["test_flickers.Cases.test_flickers"]


def test_processes_that_a_case_leaves_behind_end_with_it(run, tmp_path):
    done, files = run(
        test_leaves=f"""
        import subprocess
        class Cases(unittest.TestCase):
            def test_leaves(self):
                child = subprocess.Popen(["sleep", "1000"])
                child.returncode = 0
                with open({os.fspath(tmp_path / "pids")!r}, "a") as file: print(child.pid, file=file)
        """
    )
    assert done.returncode == 0, describe(done)
    for pid in (tmp_path / "pids").read_text().split():
        command = Path(f"/proc/{pid}/cmdline")
        assert not command.exists() or "sleep" not in command.read_text()
