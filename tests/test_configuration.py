import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from haproxy_log_exporter import configuration
from haproxy_log_exporter.config.places import Text
from haproxy_log_exporter.configuration import ConfigFiles, read_template_files, read_text_file
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.haproxy_cfg import HAProxyConfig, read_config


def write(path: Path, *frontends: str, more: str = "") -> Path:
    """Write a file with frontends, one a line."""
    path.write_text("".join(f"frontend {name}\n    mode http\n    option httplog\n" for name in frontends) + more)
    return path


def names(config: HAProxyConfig) -> list[str]:
    """Name the proxies."""
    return [proxy.name for proxy in config.proxies]


def files(*paths: Path) -> ConfigFiles:
    """Take files as the option gives them."""
    return ConfigFiles([str(path) for path in paths])


# --- Reading ----------------------------------------------------------------------------------------------------------


def test_files_are_read_in_the_order_in_which_they_are_given(tmp_path: Path) -> None:
    """As one configuration: what one file sets holds in the next."""
    first = write(tmp_path / "z.cfg", "a", more="defaults\n    mode tcp\n    option tcplog\n")
    second = tmp_path / "a.cfg"
    second.write_text("frontend b\n")
    config = files(first, second).read()
    assert names(config) == ["a", "b"]
    assert config.proxies[1].formats[0].preset == "tcplog"
    assert config.proxies[1].formats[0].place == f"{first}:6"


def test_a_directory_is_read_as_haproxy_does(tmp_path: Path) -> None:
    """All of its *.cfg by name, but hidden ones; what is no such file is left alone."""
    for name in ("20-b.cfg", "10-a.cfg", "30-c.cfg"):
        write(tmp_path / name, name[3])
    write(tmp_path / ".hidden.cfg", "hidden")
    write(tmp_path / "backup.cfg~", "backup")
    write(tmp_path / "notes.txt", "notes")
    (tmp_path / "below").mkdir()
    write(tmp_path / "below" / "40-d.cfg", "d")
    assert names(files(tmp_path).read()) == ["a", "b", "c"]


def test_files_and_directories_may_be_mixed(tmp_path: Path) -> None:
    """A directory's files stand where it is given."""
    directory = tmp_path / "conf.d"
    directory.mkdir()
    write(directory / "1.cfg", "b")
    assert names(files(write(tmp_path / "a.cfg", "a"), directory, write(tmp_path / "c.cfg", "c")).read()) == [
        "a",
        "b",
        "c",
    ]


def test_an_empty_directory_is_no_mistake(tmp_path: Path) -> None:
    """It has no proxies, and files may come."""
    config = files(tmp_path)
    assert config.read().proxies == ()
    assert not config.has_changed()
    write(tmp_path / "a.cfg", "a")
    assert config.has_changed()


def test_variables_are_those_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are when it is read."""
    path = tmp_path / "h.cfg"
    path.write_text('frontend a\n    mode http\n    log-format "%ci ${HAPROXY_TEST_NAME} %ST"\n')
    config = files(path)
    for name in ("x", "y"):
        monkeypatch.setenv("HAPROXY_TEST_NAME", name)
        assert config.read().proxies[0].formats[0].source == f"%ci {name} %ST"


def test_bytes_that_are_no_utf_8_stay_what_they_are(tmp_path: Path) -> None:
    """HAProxy writes them into its lines as they stand."""
    path = tmp_path / "h.cfg"
    path.write_bytes(b'frontend a\r\n    mode http\r\n    log-format "%ci \xff %ST"\r\n')
    (proxy,) = files(path).read().proxies
    assert proxy.formats[0].source.encode("utf-8", "surrogateescape") == b"%ci \xff %ST"


# --- Mistakes ---------------------------------------------------------------------------------------------------------


def test_every_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Each with its reason, and none of the others is taken."""
    good, missing, dangling = write(tmp_path / "good.cfg", "a"), tmp_path / "missing.cfg", tmp_path / "dangling.cfg"
    dangling.symlink_to(tmp_path / "nothing")
    with pytest.raises(UsageError) as caught:
        files(missing, good, dangling).read()
    assert caught.value.messages == (
        f"--haproxy-config: cannot read {missing}: No such file or directory",
        f"--haproxy-config: cannot read {dangling}: No such file or directory",
    )


def test_a_directory_of_that_name_is_told(tmp_path: Path) -> None:
    """Whoever named a directory like a file may do so, within a directory that is read."""
    (tmp_path / "odd.cfg").mkdir()
    with pytest.raises(UsageError, match=r"cannot read \S+odd\.cfg: Is a directory"):
        files(tmp_path).read()


def test_a_directory_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither empty nor a reason for a traceback, now or while the exporter runs."""
    config = files(tmp_path)
    config.read()

    def refuse(path: str) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr("haproxy_log_exporter.configuration.os.listdir", refuse)
    assert config.has_changed()
    with pytest.raises(UsageError, match=f"--haproxy-config: cannot read {tmp_path}: "):
        config.read()


def test_what_is_wrong_in_it_is_told_with_its_place(tmp_path: Path) -> None:
    """By file and line."""
    path = write(tmp_path / "h.cfg", "a", more="    capture request header\n")
    with pytest.raises(UsageError) as caught:
        files(path).read()
    assert caught.value.messages[0].startswith(f"{path}:4: ")


# --- Changes ----------------------------------------------------------------------------------------------------------


def settle(path: Path) -> None:
    """Put a file's time long ago, so that whatever changes it next changes its time."""
    os.utime(path, ns=(10**18, 10**18))


def test_nothing_has_changed_after_reading(tmp_path: Path) -> None:
    """And all of it has before it was read for the first time."""
    path = write(tmp_path / "h.cfg", "a")
    config = files(path, tmp_path)
    assert config.has_changed()
    config.read()
    assert not config.has_changed()


def test_a_change_is_one_until_it_is_read(tmp_path: Path) -> None:
    """Size, time, another file of the same name, none, and one again."""
    path = write(tmp_path / "h.cfg", "a")
    settle(path)
    config = files(path)
    config.read()

    def check() -> None:
        assert config.has_changed()
        assert config.has_changed()
        config.read()
        assert not config.has_changed()

    write(path, "a", "b")  # another size
    settle(path)
    check()
    os.utime(path, ns=(10**18, 10**18 + 1))  # another time alone
    check()
    settle(write(tmp_path / "new", "a", "b"))
    os.utime(path, ns=(10**18, 10**18))
    config.read()
    (tmp_path / "new").rename(path)  # another file of the same size and time
    check()


def test_a_file_that_is_gone_has_changed_once(tmp_path: Path) -> None:
    """The mistake is told once, not at every look; when the file is there again that is a change."""
    path = write(tmp_path / "h.cfg", "a")
    config = files(path)
    config.read()
    path.unlink()
    assert config.has_changed()
    with pytest.raises(UsageError):
        config.read()
    assert not config.has_changed()
    write(path, "a")
    assert config.has_changed()
    assert names(config.read()) == ["a"]


def test_a_file_that_comes_or_goes_in_a_directory_is_a_change(tmp_path: Path) -> None:
    """So is a directory that goes, and others beside are none."""
    directory = tmp_path / "conf.d"
    directory.mkdir()
    write(directory / "1.cfg", "a")
    config = files(directory)
    config.read()
    write(directory / "notes.txt", "x")
    assert not config.has_changed()
    second = write(directory / "2.cfg", "b")
    assert config.has_changed()
    assert names(config.read()) == ["a", "b"]
    second.unlink()
    assert config.has_changed()
    assert names(config.read()) == ["a"]
    directory.rename(tmp_path / "away")
    assert config.has_changed()
    with pytest.raises(UsageError):
        config.read()


def test_a_file_that_changes_while_it_is_read_has_changed_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever of it was read, it is looked at again."""
    path = write(tmp_path / "h.cfg", "a")
    config = files(path)

    def read_slowly(texts: Sequence[tuple[str, str]], environment: Mapping[str, str]) -> HAProxyConfig:
        write(path, "a", "b")
        return read_config(texts, environment)

    monkeypatch.setattr(configuration, "read_config", read_slowly)
    assert names(config.read()) == ["a"]
    assert config.has_changed()


@pytest.mark.timeout(30)
def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """Nobody waits for what a pipe may bring."""
    os.mkfifo(tmp_path / "haproxy.cfg")
    with pytest.raises(UsageError, match="is not a regular file"):
        ConfigFiles([str(tmp_path / "haproxy.cfg")]).read()
    with pytest.raises(UsageError, match="is not a regular file"):
        ConfigFiles([str(tmp_path)]).read()


# --- Other files ------------------------------------------------------------------------------------------------------


def test_a_template_is_no_file_of_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives one for the other is told so, for each, beside all else that is wrong; a file may be called so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "right").write_text("/a\n")
    (tmp_path / "{wrong}").write_text("nothing\n")
    paths = ("/users/{id}", "right", "{wrong}", "/nonesuch", "{id}")
    with pytest.raises(UsageError) as caught:
        read_template_files([Text(path, f"place {number}") for number, path in enumerate(paths)])
    assert caught.value.messages == (
        "place 0: /users/{id} is no file; a template itself is for path-template",
        "{wrong}:1: a template begins with '/', as /nothing",
        "place 3: cannot read /nonesuch: No such file or directory",
        "place 4: {id} is no file; a template itself is for path-template",
    )
    (tmp_path / "{wrong}").write_text("/b\n")
    assert read_template_files([Text("{wrong}", ""), Text("right", "")]) == ("/b", "/a")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("more", [0, 1])
def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    """Up to a size, and that is told; of every file, haproxy.cfg as well."""
    monkeypatch.setattr(configuration, "_LARGEST", 1 << 20)
    path = write(tmp_path / "h.cfg", "a")
    path.write_bytes(path.read_bytes().ljust((1 << 20) + more - 1, b"#") + b"\n")
    text = Text(str(path), "--config")
    if not more:
        assert names(files(path).read()) == ["a"]
        assert len(read_text_file(text)) == 1 << 20
        return
    with pytest.raises(UsageError) as caught:
        files(path).read()
    assert caught.value.messages == (f"--haproxy-config: cannot read {path}: is larger than 1 MiB",)
    with pytest.raises(UsageError) as caught:
        read_text_file(text)
    assert caught.value.messages == (f"--config: cannot read {path}: is larger than 1 MiB",)


def test_the_largest_file_has_64_mib(tmp_path: Path) -> None:
    """One with holes is measured as any other."""
    path = write(tmp_path / "h.cfg", "a")
    os.truncate(path, 64 << 20)
    assert len(read_text_file(Text(str(path), ""))) == 64 << 20
    os.truncate(path, (64 << 20) + 1)
    with pytest.raises(UsageError, match="is larger than 64 MiB"):
        files(path).read()
