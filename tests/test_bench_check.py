"""benchmarks/check.py: what it makes of numbers, without counting any."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parent.parent / "benchmarks/check.py"


@pytest.fixture
def check(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("bench_check", CHECK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = {"python": "3.11.7", "machine": "abacus", "key": "a compiler"}
    monkeypatch.setattr(module, "FOLDER", tmp_path / "benchmarks")
    monkeypatch.setattr(module, "identity", lambda python: names)
    module.FOLDER.mkdir()
    return module


def run(check, monkeypatch, counts, *options):
    monkeypatch.setattr(check, "per_operation", lambda python, kinds, jobs: dict(counts))
    monkeypatch.setattr(sys, "argv", ["check.py", *options])
    return check.main()


def test_growth_within_a_twentieth_and_shrinking_are_good(check):
    lines, good = check.compare({"switch": 1049, "lock": 500}, {"switch": 1000, "lock": 1000})
    assert good
    assert "+4.9%" in lines[1] and "-50.0%" in lines[2]


def test_growth_beyond_a_twentieth_is_named(check):
    lines, good = check.compare({"switch": 1000, "lock": 1051}, {"switch": 1000, "lock": 1000})
    assert not good
    assert "GREW" not in lines[1] and "GREW" in lines[2]


def test_path_without_a_number_is_not_passed_over(check):
    lines, good = check.compare({"switch": 1000, "new": 7}, {"switch": 1000})
    assert not good and "NEW" in lines[2]


def test_unknown_combination_compares_nothing_and_says_so(check, monkeypatch, capsys):
    assert run(check, monkeypatch, {"switch": 1000}) == 0
    assert "nothing to compare with" in capsys.readouterr().out


def test_update_keeps_numbers_that_the_next_run_compares_with(check, monkeypatch):
    assert run(check, monkeypatch, {"switch": 1000, "lock": 50}, "--update") == 0
    assert run(check, monkeypatch, {"switch": 1040, "lock": 50}) == 0
    assert run(check, monkeypatch, {"switch": 1060, "lock": 50}) == 1


def test_update_of_one_combination_leaves_the_others(check, monkeypatch):
    path = check.FOLDER / "instructions/cpython-3.11-abacus.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"another compiler": {"switch": 1}}))
    run(check, monkeypatch, {"switch": 1000}, "--update")
    assert json.loads(path.read_text()) == {
        "another compiler": {"switch": 1},
        "a compiler": {"switch": 1000},
    }
