from __future__ import annotations

from pathlib import Path

import pytest

from bentoml.builder.build_file.config import load_config, parse_config
from bentoml.builder.build_file.dotenv import read_dotenv


@pytest.mark.parametrize(
    ("line", "assignment"),
    [
        ("A=1", "A=1"),
        ("export A=1", "A=1"),
        (" A = 1 ", "A=1"),
        ("A=b c # comment", "A=b c"),
        ('A="b # c"  # comment', "A=b # c"),
        ("A='$HOME'", "A=$HOME"),
        ('A="open', 'A="open'),
        ("A=a#b", "A=a#b"),
        ("A=", "A="),
        ("A", "A"),
    ],
)
def test_an_assignment(line: str, assignment: str) -> None:
    assert read_dotenv(line) == [assignment]


def test_comments_and_empty_lines_say_nothing() -> None:
    assert read_dotenv("# A=1\n\n  \nB=2\n") == ["B=2"]


def test_the_three_spellings_of_the_environment_mean_the_same(tmp_path: Path) -> None:
    (tmp_path / "docker.env").write_text("# mine\nexport A=1\nB='x y'\n")
    (tmp_path / "bentofile.yaml").write_text("docker: {env: docker.env}\n")
    from_file = load_config(tmp_path).docker.env
    as_list = parse_config({"docker": {"env": ["A=1", "B=x y"]}}, source="x").docker.env
    as_mapping = parse_config({"docker": {"env": {"A": 1, "B": "x y"}}}, source="x").docker.env
    assert from_file == as_list == as_mapping == {"A": "1", "B": "x y"}
