"""The table of commands as a script that completes them in a shell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

__all__ = ["Command", "Option", "Shell", "read_commands", "script"]

Shell = Literal["bash", "zsh", "fish"]

_TEMPLATES = Path(__file__).parents[1] / "templates" / "completion"
_SAFE = re.compile(r"[\w./:=@%+<>-]+", re.ASCII)
# What is no word to complete with, but says where words come from.
_BENTOS, _MODELS, _FILES, _FREE = "<bentos>", "<models>", "<files>", "<free>"
_TAGS = {"BENTO", "BENTO_NAME", "BENTO_TAG", "BENTO:TAG", "NAME", "NAME@ALIAS", "TAG", "TARGETS"}
_PATHS = ("FILE", "FOLDER", "DIR", "PATH", "CTX", "BENTO")


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its names, what it is for, and the words that may follow it; none if it is a flag."""

    names: tuple[str, ...]
    help: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A command by its words: its options, its arguments, and for a group its commands."""

    words: str
    help: str
    options: tuple[Option, ...]
    arguments: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def read_commands(context: Any, table: Any, words: str = "", help: str = "") -> Iterator[Command]:
    """Yield what a table of commands holds, itself first."""
    names = tuple(table.list_commands(context))
    yield Command(words, help, tuple(_options(table.params)), commands=names)
    for name in names:
        command, own = table.get_command(context, name), f"{words} {name}".strip()
        if hasattr(command, "list_commands"):
            yield from read_commands(context, command, own, command.help)
        else:
            arguments = [p for p in command.params if p.param_type_name == "argument"]
            words_of = dict.fromkeys(word for p in arguments for word in _argument(p, own))
            options = tuple(_options(command.params))
            yield Command(own, table.table[name].help, options, tuple(words_of))


def script(shell: Shell, commands: Sequence[Command]) -> str:
    """Return the script that completes the commands in a shell."""
    if shell == "fish":
        groups = " ".join(_quoted(command.words) for command in commands if command.commands)
        text = _template("fish.fish").replace("@GROUPS@", groups)
        return text.replace("@COMPLETIONS@", "\n".join(_fish(commands)))
    cases = {
        "COMMANDS": _cases((c.words, c.commands) for c in commands),
        "OPTIONS": _cases((c.words, [name for o in c.options for name in o.names]) for c in commands),
        "VALUES": _cases(
            (f"{c.words} {name}", o.values) for c in commands for o in c.options for name in o.names
        ),
        "ARGUMENTS": _cases((c.words, c.arguments) for c in commands),
    }
    text = _template("common.sh")
    for name, lines in cases.items():
        text = text.replace(f"@{name}@", "\n".join(lines))
    return f"#compdef bentoml\n{text}{_template('zsh.sh')}" if shell == "zsh" else text + _template("bash.sh")


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _options(params: Iterable[Any]) -> Iterator[Option]:
    yield Option(("-h", "--help"), "Show the help.", ())
    for param in params:
        if param.param_type_name == "option" and not param.hidden and param.name != "help":
            names = (*param.opts, *param.secondary_opts)
            yield Option(names, param.help or "", () if param.is_flag else _values(param))


def _values(param: Any) -> tuple[str, ...]:
    kinds = list(_kinds(param.type_descriptor.annotation))
    choices = [kind for kind in kinds if isinstance(kind, str) and _SAFE.fullmatch(kind)]
    return tuple(choices) or ((_FILES,) if Path in kinds else (_FREE,))


def _argument(param: Any, words: str) -> list[str]:
    """Return where the words of an argument come from, which its name tells."""
    values = [value for value in _values(param) if value != _FREE]
    name = (param.metavar or param.name).upper().removesuffix("...")
    if name in _TAGS:
        values.append(_MODELS if words.startswith("models ") else _BENTOS)
    if name.endswith(_PATHS) and _FILES not in values:
        values.append(_FILES)
    return values


def _kinds(annotation: Any) -> Iterator[object]:
    """Yield the types in an annotation, and the texts of its literals."""
    inner = get_args(annotation)
    yield from (kind for one in inner for kind in _kinds(one)) if inner else [annotation]


def _cases(rows: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    return [
        f"    {_quoted(words)}) printf '%s\\n' {_quoted(' '.join(found))} ;;"
        for words, found in rows
        if found
    ]


def _fish(commands: Sequence[Command]) -> Iterator[str]:
    helps = {command.words: command.help for command in commands}
    for command in commands:
        at = f"complete -c bentoml -n {_quoted('__bentoml_at ' + _doubly(command.words))}"
        for name in command.commands:
            about = helps[f"{command.words} {name}".strip()]
            yield f"{at} -a {name} -d {_quoted(about)}"
        for word in command.arguments:
            yield f"{at} {_fish_words((word,))}"
        for option in command.options:
            names = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
            )
            words = "" if not option.values else "-r " + _fish_words(option.values)
            yield f"{at} {names} {words} -d {_quoted(option.help)}".replace("  ", " ")


def _fish_words(values: Sequence[str]) -> str:
    match values:
        case ("<files>",):
            return "-F"
        case ("<free>",):
            return "-f"
        case ("<bentos>" | "<models>" as kind,):
            return f"-f -a '(__bentoml_tags {kind[1:-1]})'"
    return f"-f -a {_quoted(' '.join(values))}"


def _doubly(text: str) -> str:
    return f'"{text}"'


def _quoted(text: str) -> str:
    """Return a text as one word, to the shells that we know."""
    plain = text.replace("\\", "").replace("'", "’")
    return f"'{plain}'"
