"""What the scripts of a Debian package do when it is installed: whether that matters in an image, and what of it is data.

Most scripts only refresh what is made from the files (caches, bytecode, menus) or start services, which no image does.
What cannot be told for certain matters.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["Alternative", "alternatives", "made_folders", "what_matters"]

_NOT_MISSED = frozenset(
    (
        # what `debroot` does as data
        "base-files", "base-passwd", "ca-certificates", "dash", "libc-bin", "libc6", "mawk", "tzdata",
        # read one by one: what they leave behind no service of a container looks at
        "adduser", "fontconfig", "fontconfig-config", "git", "init-system-helpers", "iproute2", "iputils-ping", "libgcrypt20",
        "libgdk-pixbuf-2.0-0",  # a cache of loaders that others bring
        "libglib2.0-0", "libglib2.0-0t64", "libgssapi-krb5-2", "libpam-modules", "libpam-runtime", "libpam0g", "libsensors5",
        "netbase", "openssh-client", "passwd", "procps", "readline-common",
    )
)  # fmt: skip
_AUTOMATIC = re.compile(r"# Automatically added by (\S+?)/.*?# End automatically added section", re.DOTALL)
_HARMLESS_HELPERS = frozenset(
    (
        "dh_desktop", "dh_fontconfig", "dh_gconf", "dh_icons", "dh_installcron", "dh_installdeb", "dh_installdebconf",
        "dh_installdocs", "dh_installemacsen", "dh_installinfo", "dh_installinit", "dh_installlogrotate", "dh_installmenu",
        "dh_installmime", "dh_installmodules", "dh_installsystemd", "dh_installsystemduser", "dh_installudev",
        "dh_makeshlibs", "dh_mime", "dh_pysupport", "dh_python2", "dh_python3", "dh_systemd_enable", "dh_systemd_start",
        "dh_ucf", "dh_usrlocal", "dh_xfonts", "dh_installtex", "dh_gstscancodecs", "dh_runit", "dh_apparmor", "dh_installxmlcatalogs",
    )
)  # fmt: skip
_HARMLESS = frozenset(
    (
        # of the shell
        "!", ".", ":", "[", "[[", "break", "case", "command", "continue", "do", "done", "echo", "elif", "else", "esac",
        "eval", "exit", "export", "false", "fi", "for", "if", "in", "local", "printf", "return", "set", "shift", "test",
        "then", "trap", "true", "unset", "while", "{", "}", "cd", "type", "which", "basename", "dirname", "exec",
        # that change nothing, or only take away what an older version left
        "cat", "cmp", "cut", "dpkg", "dpkg-query", "expr", "find", "getent", "grep", "egrep", "head", "id", "ls", "pidof",
        "readlink", "rm", "rmdir", "sed", "sort", "tail", "tr", "uname", "uniq", "wc", "xargs", "tput", "awk",
        "dpkg-maintscript-helper", "dpkg-trigger", "dpkg-vendor", "mountpoint", "umask",
        # that make caches, or speak to services that no image runs
        "db_get", "db_go", "db_input", "db_purge", "db_reset", "db_set", "db_stop", "db_version", "db_fset", "db_register",
        "db_settitle", "db_subst", "db_title", "db_unregister", "deb-systemd-helper", "deb-systemd-invoke", "fc-cache",
        "gdk-pixbuf-query-loaders", "gio-querymodules", "glib-compile-schemas", "gtk-update-icon-cache", "install-info", "invoke-rc.d",
        "ldconfig", "py3clean", "py3compile", "pycompile", "start-stop-daemon", "systemctl", "systemd-tmpfiles", "udevadm",
        "update-desktop-database", "update-fonts-alias", "update-fonts-dir", "update-fonts-scale", "update-mime-database",
        "update-rc.d", "update-icon-caches", "update-mime", "ucf", "ucfr", "update-alternatives", "rm_conffile", "deluser", "delgroup",
    )
)  # fmt: skip
_MKDIR = re.compile(r"\bmkdir(?: -p| -m 0?755)* /([\w./+-]+)\s*(?:;|$|&&|\|\|)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_FUNCTION = re.compile(r"([A-Za-z_][\w-]*)\s*\(\)")
_LABEL = re.compile(r"^\(?[^()\s$]*(?:\s*\|\s*[^()\s$]+)*\)")
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"$`]|\$(?!\())*\"")  # but for what runs a command in it
_VARIABLE = '"$"'
_PREFIXES = frozenset(
    (
        "!",
        "if",
        "then",
        "else",
        "elif",
        "do",
        "while",
        "{",
        "}",
        "exec",
        "command",
        "local",
        "export",
        "eval",
        "done",
    )
)
_NOISE = re.compile(r"['<>*\])-]|\d*>|\"\Z")  # what is left of strings and redirections where a line is cut
_SEPARATORS = re.compile(r";;|&&|\|\||;|\||&(?!\d)|\$\(|`|(?<!\w)\((?!\))|\)")


@dataclass(frozen=True, slots=True)
class Alternative:
    """A name that several packages may provide: ``link`` leads, by way of ``/etc/alternatives/name``, to ``path``."""

    link: str
    name: str
    path: str


def what_matters(package: str, scripts: Mapping[str, str]) -> str:
    """Return the first command of the scripts that would be missed in an image; empty where there is none."""
    if package in _NOT_MISSED or package.startswith(
        ("python3", "libpython3")
    ):  # Python's own compile, which needs no doing
        return ""
    for text in scripts.values():
        if text.startswith("#!") and not re.match(r"#!\s*/bin/(ba|da)?sh\b", text):
            return text.splitlines()[0]
        for command in _commands(_without_automatic(text)):
            if not _is_harmless(command):
                return command
    return ""


def alternatives(scripts: Mapping[str, str]) -> list[Alternative]:
    """Return the alternatives that a package registers, those without which it is not whole (pages of manuals) left out."""
    found: list[Alternative] = []
    for command in _lines(scripts.get("postinst", "")):
        if "update-alternatives" in command and "--install" in command:
            found += _registered(shlex.split(command, comments=True))
    return [one for one in found if "/man/" not in one.link]


def made_folders(scripts: Mapping[str, str]) -> list[str]:
    """Return the folders that a package makes besides those that it holds, relative to the root."""
    return [match[1] for text in scripts.values() for line in _lines(text) if (match := _MKDIR.search(line))]


def _registered(words: list[str]) -> Iterator[Alternative]:
    for number, word in enumerate(words):
        if word in ("--install", "--slave") and len(words) > number + 3:
            yield Alternative(*words[number + 1 : number + 4])


def _without_automatic(text: str) -> str:
    return _AUTOMATIC.sub(lambda match: "" if match[1] in _HARMLESS_HELPERS else match[0], text)


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of a script, each with those that continue it, without remarks."""
    for line in text.replace("\\\n", " ").splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if bare:
            yield bare


def _commands(text: str) -> Iterator[str]:
    """Yield what a script runs, cut at whatever separates commands; functions of its own count by what they do."""
    own = set(_FUNCTION.findall(text))
    for line in _lines(text):
        bare = _LABEL.sub("", _FUNCTION.sub("", _QUOTED.sub(_unquoted, line)))
        for part in _SEPARATORS.split(bare):
            words = part.split()
            if words[:2] == ["command", "-v"]:
                continue
            while words and (words[0] in _PREFIXES or _ASSIGNMENT.match(words[0])):
                words = words[1:]
            if words and words[0] not in own:
                yield " ".join(words)


def _unquoted(match: re.Match[str]) -> str:
    return _VARIABLE if "$" in match[0] and match[0][0] == '"' else "''"


def _is_harmless(command: str) -> bool:
    name, _, rest = command.partition(" ")
    if name == "update-alternatives":
        return "$" not in rest
    if name == "mkdir":
        return bool(_MKDIR.search(command))
    if name in ("cat", "sed", "echo", "printf", "awk"):
        written = re.search(r"(?<![0-9&])>>?\s*(?!/dev/null|&)\S", rest)
        return (written is None and not re.search(r"(^| )-[a-zA-Z]*i", rest)) or (
            name == "echo" and written is None
        )
    return name.rpartition("/")[2] in _HARMLESS or bool(_NOISE.match(name))
