"""The embedded cluster: who starts it, who stops it, and what a kill leaves."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from conftest import connect
from riskmap.db import data_folder, pg_programs
from riskmap.db.cluster import Cluster
from riskmap.db.pg_programs import Programs
from riskmap.errors import SetupError
from riskmap.i18n import catalogue
from riskmap.settings import Settings

ROOT = os.geteuid() == 0
root_only = pytest.mark.skipif(not ROOT, reason="about what only root's clusters do")

HOLD = """
import sys
from pathlib import Path
from riskmap.db.cluster import Cluster
from riskmap.settings import Settings
with Cluster.locate(Settings(data_dir=Path(sys.argv[1]))).running():
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder that other accounts can enter."""
    with tempfile.TemporaryDirectory(prefix="rm-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def at(data_dir: Path, **settings: object) -> Cluster:
    return Cluster.locate(Settings(data_dir=data_dir, **settings))


def postmaster_pid(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().splitlines()[0])


def user_process(data_dir: Path) -> subprocess.Popen[str]:
    """Another process that uses the cluster until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, data_dir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def alive(pid: int) -> bool:
    """Say whether a process runs: one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def let_go(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=60)
    assert process.returncode == 0


def as_ordinary_user(act: Callable[[Path], None]) -> None:
    """Do something as a user who is not root, in a folder of that user's own.

    A fork and not a new interpreter: that one may lie where the user cannot go.
    """
    with tempfile.TemporaryDirectory(prefix="rm-") as name:
        own = Path(name)
        if not ROOT:
            act(own)
            return
        nobody = pwd.getpwnam("nobody")
        os.chown(own, nobody.pw_uid, nobody.pw_gid)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setgid(nobody.pw_gid)
                os.setuid(nobody.pw_uid)
                act(own)
                status = 0
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def sentence(error: pytest.ExceptionInfo[SetupError], key: str, *parts: object) -> None:
    """Check which error it is, and that both languages can be said and name what they must."""
    assert error.value.key == key
    for text in (error.value.text("zh"), error.value.text("en")):
        assert "\n" not in text
        for part in parts:
            assert str(part) in text


def test_every_sentence_is_there_in_both_languages() -> None:
    entries = {key: texts for key, texts in catalogue().items() if key.startswith("cluster.")}
    assert entries
    assert all(set(texts) == {"zh", "en"} for texts in entries.values())


def test_first_start_makes_it_and_leaving_stops_it(folder: Path) -> None:
    cluster = at(folder / "data")
    assert not (folder / "data").exists()
    with cluster.running():
        made = (cluster.data / "PG_VERSION").stat().st_ino
        cluster.ensure_database()
        cluster.ensure_database()
        with connect(cluster, "riskmap") as session:
            shown = session.execute(
                "SELECT current_setting('listen_addresses'), current_setting('fsync'),"
                " current_setting('jit'), current_setting('TimeZone'), datcollate, datctype,"
                " pg_encoding_to_char(encoding), current_user"
                " FROM pg_database WHERE datname = 'riskmap'"
            ).fetchone()
            session.execute("CREATE EXTENSION postgis")
        assert shown == (
            *("", "on", "off", "UTC"),
            *("C.UTF-8", "C.UTF-8", "UTF8", "riskmap_owner"),
        )
        address = cluster.api_url().set(drivername="postgresql").render_as_string()
        with psycopg.connect(address) as session:
            rights = session.execute(
                "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles"
                " WHERE rolname = current_user AND rolname = 'riskmap_api'"
            ).fetchone()
        assert rights == (False, False, False)
        sockets = Path(str(cluster.owner_url().query["host"]))
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert not cluster.is_running()
    assert not (cluster.data / "postmaster.pid").exists()
    with at(folder / "data").running():
        assert (cluster.data / "PG_VERSION").stat().st_ino == made
        assert cluster.is_running()
    assert not cluster.is_running()


def test_a_half_made_cluster_is_made_anew(folder: Path) -> None:
    (folder / "data" / "pg.new").mkdir(parents=True)
    (folder / "data" / "pg.new" / "PG_VERSION").write_text("15\n")
    with at(folder / "data").running() as cluster:
        assert cluster.is_running()
    assert not (folder / "data" / "pg.new").exists()


def test_the_last_user_stops_it(folder: Path) -> None:
    first = user_process(folder / "data")
    second = user_process(folder / "data")
    cluster = at(folder / "data")
    server = postmaster_pid(cluster)
    with cluster.running():
        assert postmaster_pid(cluster) == server
    let_go(first)
    assert cluster.is_running()
    assert postmaster_pid(cluster) == server
    let_go(second)
    assert not cluster.is_running()


def test_many_who_start_at_once_share_one(folder: Path) -> None:
    def use(_: int) -> int:
        with at(folder / "data").running() as cluster:
            cluster.ensure_database()
            with connect(cluster, "riskmap") as session:
                session.execute("SELECT pg_sleep(0.1)")
            return postmaster_pid(cluster)

    with at(folder / "data").running() as cluster, ThreadPoolExecutor(6) as pool:
        assert set(pool.map(use, range(12))) == {postmaster_pid(cluster)}
    assert not cluster.is_running()


def test_a_killed_user_leaves_a_cluster_that_the_next_reuses_and_stops(folder: Path) -> None:
    process = user_process(folder / "data")
    cluster = at(folder / "data")
    server = postmaster_pid(cluster)
    process.kill()
    process.communicate()
    assert cluster.is_running()
    with cluster.running():
        assert postmaster_pid(cluster) == server
    assert not cluster.is_running()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_user_stops_the_cluster(folder: Path, number: int) -> None:
    process = user_process(folder / "data")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not at(folder / "data").is_running()


def test_the_terminals_signals_do_not_reach_the_server(folder: Path) -> None:
    with at(folder / "data").running() as cluster:
        assert os.getsid(postmaster_pid(cluster)) != os.getsid(0)
        assert os.getpgid(postmaster_pid(cluster)) != os.getpgid(0)


def test_the_server_holds_its_own_lock_and_none_of_the_users(folder: Path) -> None:
    with at(folder / "data").running() as cluster:
        open_files = Path(f"/proc/{postmaster_pid(cluster)}/fd")
        names = set()
        for file in open_files.iterdir():
            with suppress(FileNotFoundError):  # the server closed it since it was listed
                names.add(file.readlink().name)
    assert "postmaster.lock" in names
    assert not names & {"start.lock", "users.lock"}


@pytest.mark.parametrize("busy", ["SELECT pg_sleep(600)", "SELECT count(*) FROM endless"])
def test_a_killed_server_recovers_what_was_committed(folder: Path, busy: str) -> None:
    process = user_process(folder / "data")
    cluster = at(folder / "data")
    cluster.ensure_database()
    with connect(cluster, "riskmap") as session:
        session.execute("CREATE TABLE kept (n int)")
        session.execute("INSERT INTO kept VALUES (1)")
        session.execute(
            "CREATE VIEW endless AS SELECT 1 FROM generate_series(1, 1000000) a,"
            " generate_series(1, 1000000) b"
        )
    open_transaction = connect(cluster, "riskmap")
    open_transaction.execute("BEGIN")
    open_transaction.execute("INSERT INTO kept VALUES (2)")
    # A backend in the middle of a statement does not notice that its postmaster is gone.
    address = cluster.owner_url("riskmap").set(drivername="postgresql").render_as_string()
    sleeper = psycopg.connect(address, autocommit=True)
    backend = sleeper.info.backend_pid
    sleeper.pgconn.send_query(busy.encode())
    os.kill(postmaster_pid(cluster), signal.SIGKILL)
    with at(folder / "data").running() as again:
        with connect(again, "riskmap") as session:
            assert session.execute("SELECT array_agg(n) FROM kept").fetchone() == ([1],)
        assert not alive(backend)
    # The first process still counts as a user: it goes last.
    let_go(process)
    assert not cluster.is_running()
    sleeper.close()
    open_transaction.close()


def test_killed_user_and_server_together(folder: Path) -> None:
    process = user_process(folder / "data")
    cluster = at(folder / "data")
    os.kill(postmaster_pid(cluster), signal.SIGKILL)
    process.kill()
    process.communicate()
    with cluster.running():
        assert cluster.is_running()
    assert not cluster.is_running()


def test_a_stale_pid_file_that_names_somebody_else(folder: Path) -> None:
    """After a reboot, or in a container, the number may be another process's: ours, here."""
    with at(folder / "data").running() as cluster:
        text = (cluster.data / "postmaster.pid").read_text()
        os.kill(postmaster_pid(cluster), signal.SIGKILL)
    sleeper = subprocess.Popen(["sleep", "600"], **pg_programs.as_account(cluster._place.account))
    try:
        lines = text.splitlines(keepends=True)
        (cluster.data / "postmaster.pid").write_text("".join([f"{sleeper.pid}\n", *lines[1:]]))
        with at(folder / "data").running() as again:
            assert postmaster_pid(again) != sleeper.pid
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_server_started_by_hand_is_left_alone(folder: Path) -> None:
    cluster = at(folder / "data")
    with cluster.running():
        pass
    by_hand = subprocess.Popen(
        [
            cluster.programs.folder / "postgres",
            *("-D", cluster.data, "-c", "listen_addresses="),
            *("-k", cluster.owner_url().query["host"]),
        ],
        stderr=subprocess.DEVNULL,
        **pg_programs.as_account(cluster._place.account),
    )
    try:
        while not cluster.is_running():
            assert by_hand.poll() is None
            time.sleep(0.05)
        pid = postmaster_pid(cluster)
        # Nobody of ours started it, so nobody of ours uses it. It is refused, and stays.
        with pytest.raises(SetupError) as error, cluster.running():
            pass
        sentence(error, "cluster.foreign_postmaster", cluster.data, pid)
    finally:
        by_hand.send_signal(signal.SIGINT)
        by_hand.wait(60)


def test_data_of_another_major_version(folder: Path) -> None:
    (folder / "data" / "pg").mkdir(parents=True)
    (folder / "data" / "pg" / "PG_VERSION").write_text("13\n")
    with pytest.raises(SetupError) as error:
        at(folder / "data")
    newest = Programs.locate(None, data_major=None, data=folder).major
    sentence(error, "cluster.other_version", 13, newest, "riskmap backup", "riskmap restore")


def test_a_folder_with_other_things_is_not_overwritten(folder: Path) -> None:
    (folder / "data" / "pg").mkdir(parents=True)
    (folder / "data" / "pg" / "letter.txt").write_text("dear")
    with pytest.raises(SetupError) as error, at(folder / "data").running():
        pass
    sentence(error, "cluster.not_a_cluster", folder / "data" / "pg", "RISKMAP_DATA_DIR")
    assert (folder / "data" / "pg" / "letter.txt").read_text() == "dear"


def test_no_programs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError) as error:
        at(folder / "data", pg_bin=folder)
    sentence(error, "cluster.pg_bin_wrong", "RISKMAP_PG_BIN", folder)
    monkeypatch.setattr(pg_programs, "DISTRIBUTION", folder)
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(SetupError) as error:
        at(folder / "data")
    sentence(error, "cluster.programs_missing", "15", "make setup")


def programs_saying(folder: Path, version: str) -> Path:
    folder.mkdir()
    for name in pg_programs.NEEDED:
        (folder / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


def test_old_programs_and_programs_without_postgis(folder: Path) -> None:
    old = programs_saying(folder / "old", "14.9")
    with pytest.raises(SetupError) as error:
        at(folder / "data", pg_bin=old)
    sentence(error, "cluster.too_old", 14, 15)
    bare = programs_saying(folder / "bare", "99.1")
    with pytest.raises(SetupError) as error:
        at(folder / "data", pg_bin=bare)
    sentence(error, "cluster.postgis_missing", 99, "make setup")
    control = folder / "share" / "extension" / "postgis.control"
    control.parent.mkdir(parents=True)
    control.write_text("default_version = '3.1.4'\n")
    with pytest.raises(SetupError) as error:
        at(folder / "data", pg_bin=bare)
    sentence(error, "cluster.postgis_old", "3.3")


def test_a_configuration_that_does_not_start_says_why(folder: Path) -> None:
    cluster = at(folder / "data")
    with cluster.running(), connect(cluster) as session:
        session.execute("ALTER SYSTEM SET shared_preload_libraries = 'no_such'")
    with pytest.raises(SetupError) as error, cluster.running():
        pass
    sentence(error, "cluster.start_failed", cluster.data, "FATAL")


@pytest.mark.parametrize(
    "name",
    ["long/" + "abcdefgh-" * 15, "城市风险/一张图", "with space, 'quote' $HOME \"`x`"],
    ids=["long", "chinese", "odd"],
)
def test_paths_that_no_socket_can_have(folder: Path, name: str) -> None:
    with at(folder / name).running() as cluster:
        assert cluster.folder == folder / name
        assert not Path(str(cluster.owner_url().query["host"])).is_relative_to(folder)
        cluster.ensure_database()
        with connect(cluster, "riskmap") as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
        with at(folder / name).running() as other:
            assert other.owner_url() == cluster.owner_url()
    sockets = Path(str(cluster.owner_url().query["host"]))
    assert not list(sockets.iterdir())
    sockets.rmdir()


def test_a_socket_folder_that_somebody_else_laid_out(folder: Path) -> None:
    data = folder / "a, b"
    sockets = at(data)._place.sockets()
    sockets.mkdir()
    sockets.chmod(0o777)
    try:
        with pytest.raises(SetupError) as error, at(data).running():
            pass
        sentence(error, "cluster.socket_folder_taken", sockets)
    finally:
        sockets.rmdir()


def test_an_ordinary_user(cluster: Cluster) -> None:
    """Everything of this test's modules is imported by now: `cluster` has used them."""

    def act(own: Path) -> None:
        with at(own / "data").running() as mine:
            assert mine.notices == ()
            assert mine.data.stat().st_uid == os.geteuid()
            mine.ensure_database()
            with connect(mine, "riskmap") as session:
                assert session.execute("SELECT 1").fetchone() == (1,)
        assert not mine.is_running()

    as_ordinary_user(act)


def test_a_folder_that_cannot_be_written(cluster: Cluster) -> None:
    def act(own: Path) -> None:
        own.chmod(0o555)
        with pytest.raises(SetupError) as error, at(own / "data").running():
            pass
        own.chmod(0o755)
        sentence(error, "cluster.folder_unusable", "RISKMAP_DATA_DIR", own / "data")
        (own / "data").mkdir()
        (own / "data").chmod(0o000)
        with pytest.raises(SetupError) as error, at(own / "data").running():
            pass
        (own / "data").chmod(0o755)
        sentence(error, "cluster.folder_unusable", "RISKMAP_DATA_DIR", own / "data")

    as_ordinary_user(act)


@root_only
def test_root_runs_an_ordinary_users_cluster_as_that_user(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    with at(folder / "data").running() as cluster:
        owner = cluster.data.stat().st_uid
    assert owner == pwd.getpwnam("postgres").pw_uid
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    with at(folder / "data").running() as cluster:
        assert Path(f"/proc/{postmaster_pid(cluster)}").stat().st_uid == nobody.pw_uid
    assert {path.stat().st_uid for path in (folder / "data").rglob("*")} == {nobody.pw_uid}


@root_only
def test_root_under_a_closed_home_uses_a_folder_of_the_system(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = folder / "home"
    checkout = home / "城市 risk.map"
    checkout.mkdir(parents=True)
    home.chmod(0o700)
    monkeypatch.chdir(checkout)
    cluster = at(Path(".riskmap"))
    assert cluster.folder.parent == data_folder.SYSTEM_FOLDER
    assert cluster.folder.name.startswith("risk-map-")
    (notice,) = cluster.notices
    for text in (notice.text("zh"), notice.text("en")):
        assert str(cluster.folder) in text
        assert str(checkout / ".riskmap") in text
    fresh = not data_folder.SYSTEM_FOLDER.exists()
    try:
        with cluster.running():
            cluster.ensure_database()
        assert not (checkout / ".riskmap").exists()
        # Opened up later, it does not turn into an empty city.
        home.chmod(0o755)
        assert at(Path(".riskmap")).folder == cluster.folder
    finally:
        shutil.rmtree(cluster.folder)
        if fresh:
            data_folder.SYSTEM_FOLDER.rmdir()


@root_only
def test_root_does_not_leave_data_behind_that_their_owner_cannot_enter(folder: Path) -> None:
    home = folder / "home"
    with at(home / "data").running():
        pass
    home.chmod(0o700)
    with pytest.raises(SetupError) as error:
        at(home / "data")
    sentence(error, "cluster.folder_closed", home / "data", "postgres", "RISKMAP_DATA_DIR")


def test_databases_come_and_go(database_factory: Callable[[], str], cluster: Cluster) -> None:
    first, second = database_factory(), database_factory()
    assert first != second
    with connect(cluster, first) as session:
        assert session.execute("SELECT current_database()").fetchone() == (first,)


def test_no_port_is_open(cluster: Cluster) -> None:
    with connect(cluster) as session:
        assert session.execute("SHOW port").fetchone() == ("5432",)
        assert session.execute("SHOW listen_addresses").fetchone() == ("",)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(Path(str(cluster.owner_url().query["host"])) / data_folder.SOCKET))
