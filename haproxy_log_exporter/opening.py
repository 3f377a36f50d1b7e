"""From options to sources: the one place where they are made."""

from collections.abc import Mapping, Sequence
from itertools import chain
from socket import SOCK_DGRAM, SOCK_STREAM, socket

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.marks import Kept, Streams
from haproxy_log_exporter.optionvalues import SyslogURL
from haproxy_log_exporter.settings import Settings
from haproxy_log_exporter.sockets import InheritedSockets
from haproxy_log_exporter.sources.datagram import DatagramSource
from haproxy_log_exporter.sources.journal import JournalSource, load_binding
from haproxy_log_exporter.sources.listening import InheritedListener, InternetListener, Listener, UnixListener
from haproxy_log_exporter.sources.senders import Senders
from haproxy_log_exporter.sources.stdin import StandardInput
from haproxy_log_exporter.sources.stream import Limits, StreamSource
from haproxy_log_exporter.sources.tail import FileSource
from haproxy_log_exporter.sources.tls import Certificates

_NOTHING = Kept()


def find_missing(settings: Settings) -> list[str]:
    """Tell what sources need that is not there: certificates, and systemd's binding."""
    problems: list[str] = []
    looks = [certificates.load] if (certificates := find_certificates(settings)) else []
    looks += [load_binding] if settings.journal else []
    for look in looks:
        try:
            look()
        except UsageError as error:
            problems += error.messages
    return problems


def find_certificates(settings: Settings) -> Certificates | None:
    """Name the files that TLS needs, where it is asked for."""
    if not settings.tls_certificate:
        return None
    return Certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)


def make_syslog(
    settings: Settings, inherited: InheritedSockets, certificates: Certificates | None, kept: Streams
) -> Sequence[DatagramSource | StreamSource]:
    """Make the sources of syslog: those that options ask for, and of the sockets that systemd hands down besides."""
    asked = [(url, inherited.take(url.scheme, url.address, url.path)) for url in settings.syslog]
    handed = [(SyslogURL(each.url, each.scheme, each.address, each.path), each.socket) for each in inherited.rest()]
    senders = Senders(settings.allow) if settings.allow else None
    sources: list[DatagramSource | StreamSource] = []
    for url, sock in chain(asked, handed):
        listener = _listener(settings, url, sock)
        if url.scheme in ("tcp", "tls"):
            limits = Limits(settings.max_connections)
            needed = certificates if url.scheme == "tls" else None
            sources.append(StreamSource(url.text, listener, senders, limits, needed))
            continue
        source = DatagramSource(
            url.text,
            listener,
            senders if url.scheme == "udp" else None,
            receive_buffer=settings.receive_buffer,
            place=kept.get(url.text, _NOTHING).place,
        )
        sources.append(source)
    return sources


def _listener(settings: Settings, url: SyslogURL, inherited: socket | None) -> Listener:
    if inherited:
        return InheritedListener(inherited)
    if url.scheme == "unix":
        group = int(settings.unix_group) if settings.unix_group else None
        return UnixListener(url.path, int(settings.unix_mode, 8), group)
    return InternetListener(url.address, SOCK_DGRAM if url.scheme == "udp" else SOCK_STREAM)


def make_files(settings: Settings, kept: Streams, since: Mapping[str, float], without: Sequence[str]) -> FileSource:
    """Make the source of files; `since` tells since when patterns are followed, `without` what is no log."""
    return FileSource(
        settings.files,
        from_beginning=settings.start == "beginning",
        marks={path: each.marks for path, each in kept.items() if not each.place},
        since=since,
        without=without,
    )


def make_journals(settings: Settings, kept: Streams) -> Sequence[JournalSource]:
    """Make the sources of the journal."""
    return [
        JournalSource(
            unit,
            directory=settings.journal_directory,
            from_beginning=settings.start == "beginning",
            place=kept.get(f"journal:{unit}", _NOTHING).place,
            with_facility=bool(settings.facilities),
        )
        for unit in settings.journal
    ]


def make_stdin(settings: Settings) -> Sequence[StandardInput]:
    """Make the source of standard input, where it is asked for."""
    return [StandardInput()] if settings.stdin else []
