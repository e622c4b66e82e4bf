from __future__ import annotations

import pytest

from bentoml.builder.docker.dockerfile import BLOCKS, DockerfileSpec, render
from bentoml.builder.docker.dockerfile_template import render_template
from bentoml.exceptions import BentoMLConfigException
from bentoml.tag import Tag

SPEC = DockerfileSpec("python:3.12-slim", env={"A": "{{ 7 * 7 }} {% x %}"}, models=(Tag("iris", "v1"),))


def rendered(text: str) -> str:
    return render_template(text, SPEC, name="iris", version="v1")


def test_a_template_that_changes_nothing_is_our_dockerfile() -> None:
    assert rendered("{% extends bento_base_template %}") == render(SPEC)


@pytest.mark.parametrize("block", BLOCKS)
def test_each_block_may_be_extended(block: str) -> None:
    text = rendered(
        "{% extends bento_base_template %}{% block "
        + block
        + " %}{{ super() }}\nRUN echo {{ bento__path }}{% endblock %}"
    )
    added = "RUN echo /home/bentoml/bento"
    assert added in text.splitlines()
    assert text.replace(f"\n{added}", "") == render(SPEC)


def test_values_of_the_build_file_are_data() -> None:
    assert 'ENV A="{{ 7 * 7 }} {% x %}"' in rendered("{% extends bento_base_template %}").splitlines()


def test_what_a_template_sees() -> None:
    text = rendered(
        "{{ bento__name }} {{ bento__version }} {{ bento__user }} {{ bento__uid_gid }} {{ bento__home }} {{ __options__distro }} "
        "{{ __options__python_version }} {{ __options__env.A }} {{ __options__system_packages }}"
    )
    assert text == "iris v1 bentoml 1034 /home/bentoml/ debian 3.11 {{ 7 * 7 }} {% x %} []\n"


def test_a_template_may_have_variables_of_its_own() -> None:
    text = "{% set x = bento__path %}{% for bento in range(2) %}{% if bento %}{% continue %}{% endif %}{{ x }}{% endfor %}"
    assert rendered(text) == "/home/bentoml/bento\n"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.environ }}",
        "{{ self.__init__.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% include '../secret' %}",
        "{% import 'os' as os %}",
        "{{ bento__unknown }}",
        "{% do __options__env.update({'B': 1}) %}{{ __options__env }}",
        "{% for i in range(10000000) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{% set bento__home = '/tmp' %}{% extends bento_base_template %}",
        "{{ 1 / 0 }}",
        "{{ 'a' + 1 }}",
        "{% block x %}",
        "{% extends 'dockerfile_template' %}",
    ],
)
def test_a_template_reaches_nothing_and_its_mistakes_are_named(text: str) -> None:
    with pytest.raises(BentoMLConfigException, match=r"docker\.dockerfile_template"):
        rendered(text)
