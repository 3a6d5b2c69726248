"""Options: one table for the command line, ini files, the environment and keywords."""

import dataclasses

import pytest

from coewsgi import httpserver, options
from coewsgi.options import OptionError, Options


def parse(*arguments, **environment):
    return options.parse_command_line(arguments, environment)


def test_command_line_of_gunicorn_carries_over(capsys):
    app, given, _ = parse(
        *["-b", "0.0.0.0:80", "--bind", "unix:/run/x.sock", "-w", "4", "-k", "gthread"],
        *["--threads", "20", "-t", "30", "--keep-alive", "5", "--access-logfile", "-"],
        *["--max-requests", "1000", "--max-requests-jitter", "50", "-e", "A=1", "-e", "B=2"],
        *["--reload", "--preload", "-p", "/run/x.pid", "-u", "www", "-m", "027", "site:app"],
    )
    assert app == "site:app"
    assert given.bind == ("0.0.0.0:80", "unix:/run/x.sock")
    assert (given.workers, given.timeout, given.keep_alive) == (4, 30.0, 5.0)
    assert (given.max_requests, given.max_requests_jitter) == (1000, 50)
    assert given.raw_env == ("A=1", "B=2")
    assert given.reload and given.preload_app
    assert (given.pid, given.user, given.umask) == ("/run/x.pid", "www", 0o27)
    told = capsys.readouterr().out
    assert "-k has no effect" in told or "--worker-class has no effect" in told
    assert "--threads has no effect" in told


def test_later_sources_count_more(tmp_path):
    config = tmp_path / "conf.py"
    config.write_text("workers = 3\nbind = ['a:1', 'b:2']\nkeepalive_nonsense = 1\ntimeout = 7\n")
    environment = {"COEWSGI_WORKERS": "2", "COEWSGI_BACKLOG": "9", "COEWSGI_CMD_ARGS": "-t 8"}
    _, given, _ = parse("-c", str(config), "--head-timeout", "4", "x:y", **environment)
    assert given.backlog == 9
    assert given.workers == 3
    assert given.bind == ("a:1", "b:2")
    assert given.timeout == 8.0
    assert given.head_timeout == 4.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0", "x"], "workers = '0': must be at least 1"),
        (["--timeout", "-1", "x"], "timeout = '-1': must be at least 0"),
        (["--timeout", "nan", "x"], "timeout = 'nan': must be at least 0"),
        (["--header-map", "merge", "x"], "must be one of drop, refuse, dangerous"),
        (["--limit-request-body", "3x", "x"], "limit_request_body = '3x'"),
        (["--no-such-option", "x"], "unrecognized arguments"),
    ],
)
def test_wrong_value_ends_the_command_with_a_sentence(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(*arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_sizes_have_units():
    _, given, _ = parse("--limit-request-body", "10m", "--spill-bytes", "64k", "x")
    assert (given.limit_request_body, given.spill_bytes) == (10 << 20, 64 << 10)


def test_every_option_is_on_the_command_line_and_explained():
    text = options.parser().format_help()
    for item in dataclasses.fields(Options):
        flag = "--no-monkey" if item.name == "monkey" else "--" + item.name.replace("_", "-")
        assert flag in text, item.name
        assert item.metadata["help"]


def test_strings_of_an_ini_file_become_values():
    given = options.from_strings({"workers": "2", "reload": "yes", "bind": "a:1 b:2"})
    assert (given.workers, given.reload, given.bind) == (2, True, ("a:1", "b:2"))
    with pytest.raises(OptionError, match="unknown option 'wrkers'"):
        options.from_strings({"wrkers": "2"})
    with pytest.raises(OptionError, match="reload = 'perhaps': must be true or false"):
        options.from_strings({"reload": "perhaps"})


def test_options_of_the_original_are_translated_or_said_to_have_no_effect():
    values = httpserver.translate({"socket_timeout": "4.2", "request_queue_size": 10})
    given = options.from_keywords(values)
    assert (given.write_timeout, given.backlog) == (4.2, 10)
    with pytest.warns(UserWarning, match="threadpool_workers has no effect"):
        options.from_keywords({"threadpool_workers": "10"})
    with pytest.warns(UserWarning, match="threadpool_max_requests has no effect"):
        options.from_strings({"threadpool_max_requests": "10"})
    with pytest.raises(OptionError, match="name a PEM file"):
        httpserver.translate({"ssl_pem": "*"})
    with pytest.raises(TypeError, match="unknown option 'wrkers'"):
        options.from_keywords({"wrkers": 1})


def test_hooks_of_a_configuration_file_are_said_to_be_ignored(tmp_path):
    config = tmp_path / "conf.py"
    config.write_text("import os\ndef on_starting(server): pass\nworker_class = 'gevent'\n")
    with pytest.warns(UserWarning) as told:
        options.from_file(str(config))
    texts = [str(item.message) for item in told]
    assert any("hook on_starting is not called" in text for text in texts)
    assert any("worker_class has no effect" in text for text in texts)
