"""Which scripts of packages would be missed, told from what they run."""

from __future__ import annotations

import pytest

from bentoml.builder.oci.debian.scripts import Alternative, alternatives, made_folders, what_matters

TRIVIAL = """\
#!/bin/sh
set -e
# Automatically added by dh_python3
if command -v py3compile >/dev/null 2>&1; then
    py3compile -p demo
fi
# End automatically added section
case "$1" in
    configure|abort-upgrade)
        if [ "$1" = configure ]; then ldconfig; fi
        rm -f /var/lib/demo/old && echo "done" >&2
        ;;
    *)
        exit 0 ;;
esac
"""


def test_what_only_refreshes_caches_is_not_missed() -> None:
    assert what_matters("demo", {"postinst": TRIVIAL, "preinst": "#!/bin/sh\nset -e\nexit 0\n"}) == ""
    assert what_matters("demo", {}) == ""


@pytest.mark.parametrize(
    "line",
    [
        "adduser --system demo",
        "if true; then addgroup --system crontab; fi",
        "true && ln -s /a /b",
        "chmod 4755 /usr/bin/demo",
        'echo "x" > /etc/demo.conf',
        "sed -i s/a/b/ /etc/demo.conf",
        "x=$(/usr/lib/demo/make-keys)",
        "/usr/sbin/demo --init",
        'mkdir -p "$HOME/x"',
        'update-alternatives --install "$LINK" demo /usr/bin/demo 10',
        "setcap cap_net_raw+ep /bin/demo",
    ],
)
def test_what_changes_the_machine_is(line: str) -> None:
    assert what_matters("demo", {"postinst": f"#!/bin/sh\n{line}\n"})


def test_a_script_that_is_none_of_the_shell_matters() -> None:
    assert what_matters("demo", {"postinst": "#!/usr/bin/perl\nexit 0;\n"}) == "#!/usr/bin/perl"


def test_helpers_that_are_not_known_matter() -> None:
    text = "#!/bin/sh\n# Automatically added by dh_unheard/1\nmake-keys\n# End automatically added section\n"
    assert what_matters("demo", {"postinst": text}) == "make-keys"


def test_alternatives_are_data() -> None:
    text = """#!/bin/sh
    update-alternatives --quiet --install /usr/bin/cc cc /usr/bin/gcc 20 \\
        --slave /usr/share/man/man1/cc.1.gz cc.1.gz /usr/share/man/man1/gcc.1.gz
    """
    assert alternatives({"postinst": text}) == [Alternative("/usr/bin/cc", "cc", "/usr/bin/gcc")]
    assert what_matters("gcc", {"postinst": text}) == ""


def test_folders_are_data() -> None:
    scripts = {"postinst": "#!/bin/sh\nmkdir -m 755 -p /var/lib/git\n[ -d /x ] || mkdir -p /x/y\nmkdir $z\n"}
    assert made_folders(scripts) == ["var/lib/git", "x/y"]
