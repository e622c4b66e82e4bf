"""Settings: defaults, what is accepted, and all mistakes at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bentoml.exceptions import BentoMLConfigException
from bentoml.sdk.configuration.settings import ServiceSettings, read_declaration


def build(**config: Any) -> ServiceSettings:
    return ServiceSettings.build("svc", config)


def test_defaults() -> None:
    settings = build()
    assert (settings.workers, settings.threads, settings.backlog) == (None, 1, 2048)
    assert (settings.traffic.timeout, settings.traffic.max_concurrency) == (60.0, None)
    assert (settings.http.host, settings.http.port, settings.http.cors.enabled) == ("127.0.0.1", 3000, False)
    assert (settings.metrics.enabled, settings.metrics.namespace) == (True, "bentoml_service")
    assert settings.logging.access.skip_paths == ("/metrics", "/healthz", "/livez", "/readyz")
    assert settings.logging.access.format.trace_id == "032x"
    assert settings.resources.gpu is None


@pytest.mark.parametrize(
    ("given", "cpu", "memory", "gpu"),
    [
        pytest.param({"cpu": "2"}, 2, None, None, id="cpu text"),
        pytest.param({"cpu": 2, "memory": 1}, 2, 1 << 30, None, id="numbers"),
        pytest.param({"cpu": "200m", "memory": "512Mi"}, 0.2, 512 << 20, None, id="thousandths"),
        pytest.param({"memory": "500MiB"}, None, 500 << 20, None, id="MiB"),
        pytest.param({"memory": "4GiB"}, None, 4 << 30, None, id="GiB"),
        pytest.param({"memory": "4Gi"}, None, 4 << 30, None, id="Gi"),
        pytest.param({"memory": "2GB"}, None, 2_000_000_000, None, id="GB"),
        pytest.param({"memory": "1.5"}, None, 3 << 29, None, id="GiB without unit"),
        pytest.param({"memory": "1024B"}, None, 1024, None, id="bytes"),
        pytest.param({"gpu": "1"}, None, None, 1, id="gpu text"),
        pytest.param({"gpu": 1, "gpu_type": "nvidia-l4"}, None, None, 1, id="gpu"),
        pytest.param({"gpu": 0.5}, None, None, 0.5, id="part of a gpu"),
    ],
)
def test_resources(given: dict[str, Any], cpu: float, memory: int, gpu: float) -> None:
    resources = build(resources=given).resources
    assert (resources.cpu, resources.memory, resources.gpu) == (cpu, memory, gpu)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({"resources": {"gpu": 1.5}}, "`resources.gpu` is a number above 0, and a whole one above 1, not `1.5`", id="gpu"),
        pytest.param({"resources": {"gpu": "many"}}, "`resources.gpu`", id="gpu text"),
        pytest.param({"resources": {"memory": "lots"}}, "`resources.memory`", id="memory"),
        pytest.param({"resources": {"memory": "4iB"}}, "`resources.memory`", id="memory unit"),
        pytest.param({"resources": {"cpu": "-1"}}, "`resources.cpu`", id="cpu"),
        pytest.param({"resources": {"cpus": 1}}, "did you mean `resources.cpu`?", id="unknown resource"),
        pytest.param({"resources": 3}, "`resources` is a mapping, not `3`", id="no mapping"),
        pytest.param({"workers": 0}, "`workers` is a whole number above 0 or `cpu_count`, not `0`", id="workers"),
        pytest.param({"workers": True}, "`workers`", id="workers flag"),
        pytest.param({"traffic": {"timeout": 0}}, "`traffic.timeout`", id="timeout"),
        pytest.param({"traffic": {"timeuot": 3}}, "did you mean `traffic.timeout`?", id="typo"),
        pytest.param({"backlog": 64}, "`backlog` is a whole number above 64", id="backlog"),
        pytest.param({"http": {"port": 70000}}, "`http.port` is a port from 0 to 65535", id="port"),
        pytest.param({"http": {"cors": {"enabled": True}}}, "`http.cors.access_control_allow_origins` is needed", id="cors"),
        pytest.param({"ssl": {"enabled": True}}, "`ssl.certfile` is needed", id="ssl"),
        pytest.param({"metrics": {"duration": {"buckets": [2, 1]}}}, "`metrics.duration.buckets`", id="buckets"),
        pytest.param({"metrics": {"duration": {"min": 1, "max": 2}}}, "needs all of `min`, `max` and `factor`", id="no factor"),
        pytest.param({"metrics": {"duration": {"min": 1, "max": 2, "factor": 1}}}, "`metrics.duration.factor` is a number above 1", id="factor"),
        pytest.param({"metrics": {"duration": {"min": 3, "max": 2, "factor": 2}}}, "`metrics.duration.max` is above `min`", id="max"),
        pytest.param({"metrics": {"duration": {"min": 1, "max": 9e9, "factor": 1.01}}}, "at most 100 are useful", id="many buckets"),
        pytest.param({"metrics": {"duration": {"buckets": [1], "min": 1}}}, "not both", id="both"),
        pytest.param({"metrics": {"namespace": "my app"}}, "`metrics.namespace`", id="namespace"),
        pytest.param({"logging": {"access": {"format": {"span_id": "%s"}}}}, "`logging.access.format.span_id` is a format", id="format"),
        pytest.param({"http": {"cors": {"access_control_allow_origin_regex": "("}}}, "is a regular expression", id="regex"),
        pytest.param({"endpoints": {"readyz": "ready"}}, "`endpoints.readyz` is a path that begins with `/`", id="endpoint"),
        pytest.param({"endpoints": {"healthz": "/h"}}, "there are `livez`, `readyz`", id="unknown endpoint"),
        pytest.param({"tracing": {"exporter_type": "x"}}, "`tracing.exporter_type` is `zipkin`, `jaeger`", id="exporter"),
        pytest.param({"tracing": {"sample_rate": 2}}, "`tracing.sample_rate` is a number from 0 to 1", id="rate"),
        pytest.param({"runner_probe": {"timeout": 0}}, "`runner_probe.timeout`", id="probe"),
        pytest.param({"grpc": {"prot": 1}}, "did you mean `grpc.port`?", id="grpc"),
        pytest.param({"nonsense": 1}, "`nonsense` is not known; there are `workers`", id="unknown"),
        pytest.param({"http": {"host": "a\nb"}}, "`http.host` is one line of text", id="line break"),
    ],
)  # fmt: skip
def test_mistakes(config: dict[str, Any], message: str) -> None:
    with pytest.raises(BentoMLConfigException) as caught:
        build(**config)
    assert message in caught.value.message


@pytest.mark.parametrize("given", ["*", ["*"], ("*",)])
def test_texts_may_be_one_or_several(given: Any) -> None:
    cors = build(http={"cors": {f"access_control_{key}": given for key in CORS_LISTS}}).http.cors
    assert {getattr(cors, f"access_control_{key}") for key in CORS_LISTS} == {("*",)}


CORS_LISTS = ("allow_origins", "allow_methods", "allow_headers", "expose_headers")


def test_patterns_may_be_one_text_with_commas() -> None:
    assert build(tracing={"excluded_urls": "livez, readyz"}).tracing.excluded_urls == ("livez", "readyz")
    assert build(tracing={"excluded_urls": ["a,b"]}).tracing.excluded_urls == ("a,b",)


def test_every_mistake_is_named() -> None:
    with pytest.raises(BentoMLConfigException) as caught:
        build(workers="x", threads=0, traffic={"timeout": -1, "max_concurency": 1}, resources={"gpu": "x"})
    for key in ("workers", "threads", "traffic.timeout", "traffic.max_concurency", "resources.gpu"):
        assert f"`{key}`" in caught.value.message


def test_everything_that_a_service_may_set() -> None:
    settings = build(
        workers="cpu_count",
        threads=4,
        http={"cors": {"enabled": True, "access_control_allow_origins": "*"}, "response": {"trace_id": True}},
        metrics={"enabled": False, "duration": {"min": 0.1, "max": 10, "factor": 2}},
        logging={"access": {"enabled": False, "skip_paths": ["/x"]}},
        traffic={"timeout": 300, "max_concurrency": 5, "concurrency": None},
        extra_ports=[8001],
        tracing={"exporter_type": "otlp"},
        monitoring={"enabled": False},
    )
    assert settings.workers == "cpu_count"
    assert settings.http.cors.access_control_allow_origins == ("*",)
    assert settings.logging.access.skip_paths == ("/x",)
    assert settings.traffic.max_concurrency == 5
    assert settings.tracing.exporter_type == "otlp"
    assert not settings.monitoring.enabled


@pytest.mark.parametrize(
    ("envs", "message"),
    [
        pytest.param("A=1", "`envs` is a list", id="no list"),
        pytest.param([{"value": "x"}], "`envs.0.name`", id="no name"),
        pytest.param([{"name": "A", "stage": "later"}], "`envs.0.stage` is `all`, `build` or `runtime`", id="stage"),
        pytest.param([{"name": "A", "vlaue": "x"}], "did you mean `envs.0.value`?", id="typo"),
        pytest.param([{"name": "A", "value": "x\ny"}], "`envs.0.value`", id="line break"),
    ],
)  # fmt: skip
def test_environment_variables(envs: Any, message: str) -> None:
    with pytest.raises(BentoMLConfigException) as caught:
        read_declaration("svc", envs)
    assert message in caught.value.message


def test_overrides(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "version: 2\n"
        "services:\n"
        "  traffic: {timeout: 7}\n"
        "  http: {host: '${HOST:-127.0.0.2}', port: 4000}\n"
        "  svc: {workers: 2, metrics: {namespace: '${NAMESPACE}'}}\n"
        "  other: {workers: 9}\n"
    )
    env = {
        "BENTOML_CONFIG": str(file),
        "NAMESPACE": "mine",
        "BENTOML_CONFIG_OVERRIDES": '{"services": {"svc": {"workers": 3}, "threads": 2}}',
    }
    given = {"workers": 1, "traffic": {"max_concurrency": 4}, "http": {"port": 1}}
    settings = ServiceSettings.build("svc", given, env)
    assert (settings.workers, settings.threads) == (3, 2)
    assert (settings.traffic.timeout, settings.traffic.max_concurrency) == (7, 4)
    assert (settings.http.host, settings.http.port) == ("127.0.0.2", 4000)
    assert settings.metrics.namespace == "mine"


OVER = "BENTOML_CONFIG_OVERRIDES"


def test_the_order_of_overrides(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("version: 2\nservices: {threads: 2, svc: {threads: 3, backlog: 103, workers: 3}}")
    env = {
        "BENTOML_CONFIG": str(file),
        OVER: '{"services": {"backlog": 104, "svc": {"workers": 4}}}',
        "BENTOML_CONFIG_OPTIONS": "services.svc.workers=5 services.metrics.enabled=false",
    }
    settings = ServiceSettings.build("svc", {"threads": 1, "traffic": {"timeout": 6}}, env)
    assert (settings.threads, settings.backlog, settings.workers) == (3, 104, 5)
    assert (settings.metrics.enabled, settings.traffic.timeout) == (False, 6)


def test_variables_stand_for_numbers_and_flags_too() -> None:
    env = {
        "PORT": "4000",
        OVER: '{"services": {"http": {"port": "${PORT}"}, "threads": "${THREADS:-3}", '
        '"metrics": {"namespace": "a${NONE:-}", "enabled": "${ON:-false}"}}}',
    }
    settings = ServiceSettings.build("svc", {}, env)
    assert (settings.http.port, settings.threads) == (4000, 3)
    assert (settings.metrics.namespace, settings.metrics.enabled) == ("a", False)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        pytest.param({"BENTOML_CONFIG": "/does/not/exist.yaml"}, "BENTOML_CONFIG=`/does/not/exist.yaml`: ", id="no file"),
        pytest.param({"BENTOML_CONFIG": "/etc/hosts"}, "has to end in `.yaml`", id="no YAML file"),
        pytest.param({OVER: "{"}, f"{OVER}: it is not JSON", id="no JSON"),
        pytest.param({OVER: "3"}, "it is a mapping with `services`", id="a number"),
        pytest.param({OVER: '{"api_server": {}}'}, "`api_server` is not known; settings lie under `services`", id="root"),
        pytest.param({OVER: '{"version": 1}'}, "`version` is `2`, not `1`", id="version"),
        pytest.param({OVER: '{"services": []}'}, "`services` is a mapping", id="services") ,
        pytest.param({OVER: '{"services": {"svc": 3}}'}, "`services.svc` is", id="no mapping"),
        pytest.param({OVER: '{"services": {"worker": 3}}'}, "did you mean `services.workers`?", id="typo"),
        pytest.param({OVER: '{"services": {"http": {"host": "${NOPE}"}}}'}, "`${NOPE}`: the variable is not set", id="unset"),
        pytest.param({"BENTOML_CONFIG_OPTIONS": "services.threads"}, "`services.threads` is not of the form", id="no value"),
    ],
)  # fmt: skip
def test_overrides_that_are_none(env: dict[str, str], message: str) -> None:
    with pytest.raises(BentoMLConfigException, match="Invalid configuration file was given") as caught:
        ServiceSettings.build("svc", {}, env)
    assert message in caught.value.message


def test_mistakes_name_who_made_them() -> None:
    env = {OVER: '{"services": {"svc": {"threads": 0, "trafic": {}}}}'}
    with pytest.raises(BentoMLConfigException) as caught:
        ServiceSettings.build("svc", {"workers": 0}, env)
    own, threads, traffic = caught.value.message.splitlines()[1:]
    assert own.endswith("not `0`")
    assert threads.endswith(f"not `0` (in {OVER})")
    assert "did you mean `traffic`?" in traffic


def test_the_environment_of_others_says_nothing() -> None:
    env = {OVER: '{"services": {"other": {"threads": 4}}}'}
    assert ServiceSettings.build("svc", {}, env).threads == 1


def test_a_mistake_that_is_overridden_is_still_one() -> None:
    with pytest.raises(BentoMLConfigException, match="`threads`"):
        ServiceSettings.build("svc", {"threads": "x"}, {OVER: '{"services": {"threads": 2}}'})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"name": 3}, "`name` is one line of text, not `3`", id="number for a name"),
        pytest.param({"name": "a\r\nset-cookie: b"}, "`name` is one line of text", id="line break in a name"),
        pytest.param({"description": 3}, "`description` is a text, not `3`", id="description"),
        pytest.param({"path_prefix": 3}, "`path_prefix` is a path, not `3`", id="number for a prefix"),
        pytest.param({"path_prefix": "/a?b"}, "`path_prefix` is a path", id="query in a prefix"),
        pytest.param({"labels": ["a"]}, "`labels` is a mapping of texts to texts, not `['a']`", id="list of labels"),
        pytest.param({"labels": {"a": 1}}, "`labels` is a mapping of texts", id="number for a label"),
        pytest.param({"cmd": "ls -l"}, "`cmd` is a list of texts, the program first, not `'ls -l'`", id="line"),
        pytest.param({"cmd": []}, "`cmd` is a list of texts", id="no program"),
        pytest.param({"cmd": ["ls", 1]}, "`cmd` is a list of texts", id="number for a word"),
    ],
)  # fmt: skip
def test_what_a_service_says_of_itself(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BentoMLConfigException) as caught:
        read_declaration(**{"name": "svc", **given})
    assert message in caught.value.message


def test_all_mistakes_of_a_declaration_at_once() -> None:
    with pytest.raises(BentoMLConfigException) as caught:
        read_declaration("svc", ["A"], labels=3, cmd=4)
    assert [part in caught.value.message for part in ("`envs.0`", "`labels`", "`cmd`")] == [True] * 3
