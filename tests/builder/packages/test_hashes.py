from __future__ import annotations

import pytest

from bentoml.builder.packages.hashes import with_declared_hashes
from bentoml.exceptions import BentoMLException

PINS = """\
a-b==1 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
other==2 \\
    --hash=sha256:cc
"""


def test_without_hashes_nothing_changes() -> None:
    assert with_declared_hashes(("a_b>=1", "other"), PINS) == PINS


@pytest.mark.parametrize("line", ["A.B==1 --hash=sha256:bb --hash=sha256:ff", "a_b == 1 --hash sha256:bb"])
def test_only_the_given_hashes_are_kept(line: str) -> None:
    assert with_declared_hashes((line, "other"), PINS) == (
        "a-b==1 \\\n    --hash=sha256:bb\nother==2 \\\n    --hash=sha256:cc\n"
    )


def test_a_package_with_other_hashes_is_refused() -> None:
    with pytest.raises(BentoMLException, match="`a-b==1` has none of the hashes"):
        with_declared_hashes(("a-b==1 --hash=sha256:00",), PINS)
