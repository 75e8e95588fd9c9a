"""supervisord's configuration and the choice of its socket."""

import configparser
import shlex
from pathlib import Path

import pytest

from embedded.config import Settings, read_settings
from embedded.errors import StackError
from embedded.programs import AIRFLOW, Program, programs
from embedded.supervision import SOCKET_PATH_LIMIT, configuration, make_private, socket_path

JAVA = Path("/opt/java")


def parsed(settings: Settings, found: list[Program]) -> configparser.ConfigParser:
    """The configuration as supervisord reads it: %% is %, ; starts a comment after a space."""
    parser = configparser.ConfigParser(inline_comment_prefixes=(" ;", "\t;"))
    parser.read_string(configuration(settings, found))
    return parser


def test_every_program_restarts_and_is_ended_with_its_children(settings: Settings) -> None:
    config = parsed(settings, programs(settings, JAVA))
    names = [name.removeprefix("program:") for name in config.sections() if name.startswith("program:")]
    assert names == ["kafka", "mongodb", *AIRFLOW]
    for name in names:
        section = config[f"program:{name}"]
        assert section["autorestart"] == section["stopasgroup"] == section["killasgroup"] == "true"
        assert section["autostart"] == "false"
        assert int(section["stopwaitsecs"]) > 0
        assert section["stdout_logfile_maxbytes"] == "10MB"


def test_command_lines_survive_spaces_and_percent_signs(settings: Settings) -> None:
    awkward = Program("x", ("/bin/echo", "two words", "100%", "it's", '"'), {}, 5)
    command = shlex.split(parsed(settings, [awkward])["program:x"]["command"])
    assert command[1:] == ["-m", "embedded.launch", "x", *awkward.command]
    assert command[0] == str(settings.home / "venvs/stack/bin/python")


def test_no_secret_is_written(settings: Settings) -> None:
    text = configuration(settings, programs(settings, JAVA))
    assert "password" not in text.lower()
    assert "environment" not in text.replace("from supervisord's environment", "")


def test_servers_of_the_users_own_are_not_started() -> None:
    settings = read_settings({"MONGODB_URI": "mongodb://db.example/x", "KAFKA_BOOTSTRAP_SERVERS": "b:9092"})
    assert [program.name for program in programs(settings, JAVA)] == list(AIRFLOW)


def test_only_this_machine_is_listened_on(settings: Settings) -> None:
    for program in programs(settings, JAVA):
        assert "0.0.0.0" not in " ".join(program.command)  # noqa: S104


def test_server_options_follow_the_settings(tmp_path: Path) -> None:
    binary = tmp_path / "server"
    binary.write_text("")
    binary.chmod(0o755)
    environ = {"SHOPSTREAM_MONGODB_BINARY": str(binary), "SHOPSTREAM_MONGODB_SYNC_ON_COMMIT": "1"}
    server = next(program for program in programs(read_settings(environ), JAVA) if program.name == "mongodb")
    assert server.command[0] == str(binary)
    assert {"--auth", "--sync-on-commit"} <= set(server.command)


def test_long_home_gets_a_short_socket(tmp_path: Path) -> None:
    short = read_settings({"SHOPSTREAM_HOME": "/tmp/h"})
    assert socket_path(short) == short.run / "supervisor.sock"
    long = read_settings({"SHOPSTREAM_HOME": "/tmp/" + "h" * 120})
    other = read_settings({"SHOPSTREAM_HOME": "/tmp/" + "i" * 120})
    assert len(str(socket_path(long))) < SOCKET_PATH_LIMIT
    assert socket_path(long) != socket_path(other)


def test_foreign_or_open_socket_folder_is_refused(tmp_path: Path) -> None:
    make_private(tmp_path / "own")
    make_private(tmp_path / "own")
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "own")
    for name in ("open", "link"):
        with pytest.raises(StackError, match="private"):
            make_private(tmp_path / name)
