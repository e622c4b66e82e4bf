"""The page at `/` and its files, as they are sent."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.served import Reply, Served, served

import bentoml
from bentoml.runtime.web.page_assets import assets, index_html

PAGE = Path(bentoml.__file__).parent / "templates" / "page"


@bentoml.service(description="Adds <numbers> & more")
class Sums:
    @bentoml.api
    def add(self, one: int, other: int) -> int:
        """Add <two> numbers."""
        return one + other


def get(app: Served, path: str = "/", **headers: str) -> Reply:
    return app.ask(path, method="GET", headers={k.replace("_", "-"): v for k, v in headers.items()})


def addresses(page: Reply) -> list[str]:
    return re.findall(r'(?:src|href)="(static_content/[^"]+)"', page.body.decode())


def test_the_page_says_what_the_service_is_without_javascript() -> None:
    with served(Sums) as app:
        page = get(app)
    text = page.body.decode()
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Sums</title>" in text
    assert "<code>POST /add</code> Add &lt;two&gt; numbers." in text
    assert "Adds &lt;numbers&gt; &amp; more" in text


@pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json"])
def test_it_is_the_same_for_whoever_asks(accept: str) -> None:
    with served(Sums) as app:
        assert get(app, accept=accept).body.startswith(b"<!doctype html>")


def test_head_and_other_methods() -> None:
    with served(Sums) as app:
        whole, head = get(app), app.ask("/", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.body))
        refused = app.ask("/", method="PUT")
    assert refused.status == 405
    assert refused.headers["allow"] == "GET, HEAD"


def test_nothing_of_others_and_nothing_inline_may_run() -> None:
    with served(Sums) as app:
        page = get(app)
    policy = dict(part.partition(" ")[::2] for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    text = page.body.decode()
    assert not re.search(r"<script(?![^>]* src=)|<style| on\w+=| style=", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)


def test_files_are_kept_for_good_and_changed_by_name() -> None:
    with served(Sums) as app:
        found = addresses(get(app))
        assert {Path(name).name for name in found} == {f.name for f in PAGE.iterdir()} - {"index.html"}
        for address in found:
            reply = get(app, f"/{address}")
            assert reply.status == 200
            assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert reply.body == (PAGE / Path(address).name).read_bytes()


def test_files_are_compressed_for_those_who_take_it() -> None:
    with served(Sums) as app:
        address = next(a for a in addresses(get(app)) if a.endswith("main.js"))
        plain, packed = get(app, f"/{address}"), get(app, f"/{address}", accept_encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "accept-encoding"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["etag"] != plain.headers["etag"]


def test_what_has_not_changed_is_not_sent_again() -> None:
    with served(Sums) as app:
        page = get(app)
        again = get(app, if_none_match=page.headers["etag"])
        assert (again.status, again.body) == (304, b"")
        address = f"/{addresses(page)[0]}"
        assert get(app, address, if_none_match=get(app, address).headers["etag"]).status == 304


@pytest.mark.parametrize("name", ["nothing.js", "../index.html", "index.html", "", "main.js/x"])
def test_other_files_are_not_there(name: str) -> None:
    with served(Sums) as app:
        assert get(app, f"/static_content/{assets().version}/{name}").status == 404
        assert get(app, "/static_content/0000/main.js").status == 404


def test_below_a_prefix() -> None:
    @bentoml.service(path_prefix="/v1/shop")
    class Prefixed:
        pass

    with served(Prefixed) as app:
        page = get(app, "/v1/shop/")
        assert b'data-root="../.."' in page.body
        assert get(app, f"/v1/shop/{addresses(page)[0]}").status == 200
        sent_on = get(app, "/v1/shop")
        assert (sent_on.status, sent_on.headers["location"]) == (307, "shop/")
        assert get(app, "/").status == 404


def test_beside_an_api_at_the_root() -> None:
    @bentoml.service
    class Root:
        @bentoml.api(route="/")
        def double(self, x: int) -> int:
            return 2 * x

    with served(Root) as app:
        assert get(app).body.startswith(b"<!doctype html>")
        assert app.ask("/", {"x": 4}).json() == 8


def test_the_page_of_a_service_that_asks_who_calls_holds_nothing_of_it() -> None:
    @bentoml.service(auth={"type": "api_key", "env": "KEYS", "header": "x-key"}, description="top secret")
    class Guarded:
        @bentoml.api
        def launch(self) -> None: ...

    service: Any = Guarded
    page = index_html(service).decode()
    assert 'data-auth="x-key"' in page
    assert not re.search("Guarded|secret|launch|KEYS", page)


def test_a_person_who_is_not_known_is_asked_by_the_page_and_a_program_by_the_status(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("open-sesame")

    @bentoml.service(auth={"type": "api_key", "file": str(tmp_path / "keys")}, path_prefix="/v1")
    class Guarded:
        pass

    with served(Guarded) as app:
        person = get(app, "/v1/", accept="text/html,*/*;q=0.8")
        assert (person.status, person.headers["www-authenticate"]) == (401, "Bearer")
        assert person.headers["content-type"] == "text/html; charset=utf-8"
        assert "Guarded" not in person.body.decode()
        assert get(app, f"/v1/{addresses(person)[0]}").status == 200
        assert get(app, "/v1/").json() == {"error": "Authorization error"}
        known = get(app, "/v1/", accept="text/html", authorization="Bearer open-sesame")
        assert known.status == 200
        assert app.ask("/v1/x", method="GET", headers={"accept": "text/html"}).status == 401


def test_all_of_it_is_small() -> None:
    assert sum(len(asset.compressed) for asset in assets().all.values()) < 40_000
    assert all(len(f.read_text().splitlines()) <= 400 for f in PAGE.iterdir())
