from __future__ import annotations

import pytest

from bentoml.cli._output import print_json, print_table, size


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0.00 B"),
        (279, "279.00 B"),
        (1023, "1023.00 B"),
        (1024, "1.00 KiB"),
        (2345, "2.29 KiB"),
        (1 << 20, "1.00 MiB"),
        (14484776960, "13.49 GiB"),
        (1 << 40, "1.00 TiB"),
        (1 << 60, "1024.00 PiB"),
    ],
)
def test_size(count: int, shown: str) -> None:
    assert size(count) == shown


def test_a_table_is_as_wide_as_its_texts(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["A", "Long Heading", "C"], [["x" * 200, "", "1"], ["y", "z", ""]])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{'A':200}  Long Heading  C", f"{'x' * 200}  {'':12}  1", f"{'y':200}  z"]


def test_json_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"é": 1j})
    assert capsys.readouterr().out == '{\n  "é": "1j"\n}\n'
