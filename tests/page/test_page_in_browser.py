"""The page at `/` as a person uses it, in a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect
from tests.page.browser import Visit, browser, visit
from tests.support import Project

pytestmark = pytest.mark.engine

GALLERY = Path(__file__).parents[1] / "projects" / "gallery"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    project = Project(GALLERY, tmp_path_factory.mktemp("home"))
    project.env["PYTHONDONTWRITEBYTECODE"] = "1"
    with project.serve("service:Gallery") as url:
        yield url


@pytest.fixture
def tab(chromium: Browser, gallery: str) -> Iterator[Visit]:
    with visit(chromium, gallery) as opened:
        yield opened


def result(page: Page) -> Locator:
    return page.get_by_role("region", name="Answer")


def field(page: Page, label: str) -> Locator:
    """The row of a field."""
    return page.locator(".field", has=page.get_by_label(label, exact=True)).last


def code(page: Page, tab: str) -> str:
    page.get_by_role("tab", name=tab, exact=True).click()
    return page.get_by_role("tabpanel", name=tab).inner_text()


def test_the_overview(tab: Visit) -> None:
    page = tab.open()
    expect(page.get_by_role("heading", level=1)).to_have_text("Gallery")
    expect(page.locator("strong")).to_have_text("each kind of input and answer")
    apis = page.get_by_role("main").get_by_role("listitem")
    assert "write" in " ".join(apis.all_inner_texts())
    apis.filter(has_text="/write").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("write")
    expect(page).to_have_title("write · Gallery")
    expect(page.get_by_role("navigation").get_by_role("link", name="write")).to_have_attribute(
        "aria-current", "page"
    )
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Gallery")


def test_a_form_and_its_answer(tab: Visit) -> None:
    page = tab.open("write")
    page.get_by_label("text", exact=True).fill("Good morning")
    page.get_by_label("times").fill("2")
    page.get_by_label("style").select_option(label="loud")
    page.get_by_role("switch", name="underline").check()
    page.get_by_label("signature").fill("The baker")
    tab.send()
    expect(result(page).locator("pre")).to_have_text("GOOD MORNING\nGOOD MORNING\n------------\nThe baker")
    expect(result(page).locator(".status")).to_have_text("200 OK")
    expect(result(page).locator(".id")).to_have_text(re.compile("^[0-9a-f]{16}$"))


def test_defaults_are_left_out(tab: Visit) -> None:
    page = tab.open("write")
    page.get_by_label("text", exact=True).fill("a")
    assert """-d '{"text": "a"}'""" in code(page, "curl")
    page.get_by_label("times").fill("3")
    assert """-d '{"text": "a", "times": 3}'""" in code(page, "curl")


def test_nested_objects_lists_dates_and_choices(tab: Visit) -> None:
    page = tab.open("shelve")
    page.get_by_label("title").fill("Bread")
    page.get_by_label("pages").fill("300")
    page.get_by_label("name", exact=True).fill("Ann")
    page.get_by_label("born").fill("1980-02-03")
    page.get_by_role("button", name="Add to tags").click()
    page.get_by_label("tags 1", exact=True).fill("food")
    page.get_by_role("button", name="Add to tags").click()
    page.get_by_label("tags 2", exact=True).fill("old")
    page.get_by_role("button", name="Remove tags 1").click()
    page.get_by_label("at", exact=True).fill("2026-01-02T03:04:05")
    page.get_by_label("copies").select_option(label="3")
    tab.send()
    answer = result(page).locator("pre")
    expect(answer).to_contain_text('"born": "1980-02-03"')
    expect(answer).to_contain_text('"tags": ["old"]')
    expect(answer).to_contain_text('"at": "2026-01-02T03:04:05"')
    expect(answer).to_contain_text('"copies": 3')


def test_what_is_missing_is_said_at_its_field_before_anything_is_sent(tab: Visit) -> None:
    page = tab.open("shelve")
    page.get_by_role("button", name="Send").click()
    title = page.get_by_label("title")
    expect(title).to_be_focused()
    expect(title).to_have_attribute("aria-invalid", "true")
    expect(field(page, "title").get_by_role("alert")).not_to_be_empty()
    assert not any(url.endswith("/shelve") for url in tab.requests)


def test_what_the_server_refuses_is_said_at_its_field(tab: Visit) -> None:
    page = tab.open("write")
    page.get_by_label("text", exact=True).evaluate(
        "e => { e.removeAttribute('maxlength'); e.value = 'x'.repeat(201) }"
    )
    tab.send()
    expect(result(page).locator(".status")).to_have_text("400 Bad Request")
    expect(field(page, "text").get_by_role("alert")).to_have_text("String should have at most 200 characters")
    page.get_by_label("text", exact=True).fill("short")
    expect(field(page, "text").get_by_role("alert")).to_be_hidden()


def test_other_errors_are_shown_whole(tab: Visit) -> None:
    page = tab.open("find")
    page.get_by_label("name").fill("<b>x</b>")
    tab.send()
    expect(result(page).get_by_role("alert")).to_contain_text("there is no `<b>x</b>`")
    expect(result(page).locator(".status")).to_have_text("404 Not Found")


def test_the_whole_body_as_json(tab: Visit) -> None:
    page = tab.open("write")
    page.get_by_label("text", exact=True).fill("one")
    page.get_by_role("button", name="Edit as JSON").click()
    body = page.get_by_label("Body as JSON")
    expect(body).to_have_value('{"text": "one"}')
    body.fill("{")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert").filter(has_text="not JSON")).to_be_visible()
    body.fill('{"text": "two", "times": 2}')
    tab.send()
    expect(result(page).locator("pre")).to_have_text("two\ntwo")
    page.get_by_role("button", name="Edit as JSON").click()
    expect(page.get_by_label("times")).to_have_value("2")


def test_arrays(tab: Visit) -> None:
    page = tab.open("invert")
    page.get_by_label("matrix").fill("[[2, 0], [0")
    page.get_by_role("button", name="Send").click()
    expect(field(page, "matrix").get_by_role("alert")).to_contain_text("This is not JSON")
    page.get_by_role("button", name="Fill in an example").click()
    expect(page.get_by_label("matrix")).to_have_value("[[0, 0], [0, 0]]")
    page.get_by_label("matrix").fill("[[2, 0], [0, 4]]")
    tab.send()
    expect(result(page).locator("pre")).to_contain_text("0.25")


def test_unions(tab: Visit) -> None:
    page = tab.open("mixed")
    page.get_by_label("Kind of value").select_option(label="text")
    page.get_by_label("value", exact=True).last.fill("12")
    tab.send()
    expect(result(page).locator("pre")).to_contain_text('"value": "12"')


def test_bodies_that_are_the_value_itself(tab: Visit) -> None:
    page = tab.open("shout")
    page.locator("textarea").first.fill("quiet")
    tab.send()
    expect(result(page).locator("pre")).to_have_text("QUIET")
    page = tab.open("catalogue")
    page.get_by_label("title").fill("Bread")
    page.get_by_label("pages").fill("7")
    page.get_by_label("name", exact=True).fill("Ann")
    tab.send()
    expect(result(page).locator("pre")).to_contain_text('"title": "Bread"')


def test_a_picture_is_previewed_sent_and_shown(tab: Visit, tmp_path: Path) -> None:
    PIL.Image.new("RGB", (40, 20), "red").save(tmp_path / "red.png")
    page = tab.open("scale")
    page.get_by_role("button", name="Send").click()
    expect(field(page, "picture").get_by_role("alert")).to_have_text("Choose a file.")
    page.get_by_label("picture").set_input_files(tmp_path / "red.png")
    preview = page.locator(".files img")
    expect(preview).to_be_visible()
    assert preview.evaluate("e => e.decode().then(() => e.naturalWidth)") == 40
    page.get_by_label("factor").fill("2")
    tab.send()
    shown = result(page).locator("img")
    expect(shown).to_be_visible()
    assert shown.evaluate("e => e.decode().then(() => [e.naturalWidth, e.naturalHeight])") == [80, 40]
    with page.expect_download() as download:
        result(page).get_by_role("link", name="Save answer.png").click()
    with PIL.Image.open(download.value.path()) as saved:
        assert saved.size == (80, 40)


def test_files_are_dropped_and_taken_away_again(tab: Visit) -> None:
    page = tab.open("count")
    drop = """zone => {
        const data = new DataTransfer();
        data.items.add(new File(["one"], "one.txt"));
        data.items.add(new File(["three"], "three.txt"));
        zone.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    page.locator(".drop").evaluate(drop)
    expect(page.locator(".files li")).to_have_count(2)
    page.get_by_role("button", name="Remove one.txt").click()
    tab.send()
    expect(result(page).locator("pre")).to_contain_text('"bytes": 5')


def test_sound_and_files_as_answers(tab: Visit) -> None:
    page = tab.open("tone")
    tab.send()
    sound = result(page).locator("audio")
    page.wait_for_function("e => e.duration > 0.09", arg=sound.element_handle())
    tab.open("report")
    tab.send()
    expect(result(page).locator("pre")).to_have_text("Report\n")
    expect(result(page).get_by_role("link", name="Save report.txt")).to_be_visible()


def test_a_stream_appears_as_it_comes_and_stops(tab: Visit) -> None:
    page = tab.open("tell")
    page.get_by_label("words").fill("50")
    page.get_by_label("pause").fill("0.1")
    tab.send()
    log = page.get_by_role("log")
    seen: set[str] = set()
    end = time.monotonic() + 30
    while len(seen) < 5:
        seen.add(log.inner_text())
        assert time.monotonic() < end, "it comes word by word"
    page.get_by_role("button", name="Stop").click()
    expect(result(page)).to_contain_text("Stopped.")
    stopped = log.inner_text()
    assert "word 49" not in stopped
    page.wait_for_timeout(300)
    assert log.inner_text() == stopped
    expect(page.get_by_role("button", name="Send")).to_be_enabled()


def test_a_stream_that_fails_says_so(tab: Visit) -> None:
    page = tab.open("break_off")
    tab.send()
    expect(page.get_by_role("log")).to_have_text("word 0 word 1 word 2 ")
    expect(result(page).get_by_role("alert")).to_contain_text("The stream failed")


def test_tasks(tab: Visit) -> None:
    page = tab.open("train")
    page.get_by_label("rounds").fill("7")
    page.get_by_role("button", name="Submit task").click()
    tasks = page.get_by_role("region", name="Tasks").get_by_role("listitem")
    expect(tasks).to_have_count(1)
    expect(tasks.locator(".pill")).to_have_text("Done")
    page.get_by_role("button", name="Result task").click()
    expect(result(page).locator("pre")).to_contain_text('"rounds": 7')
    page.get_by_role("button", name="Retry task").click()
    expect(tasks).to_have_count(2)
    page.reload()
    expect(tasks).to_have_count(2)
    expect(tasks.first.locator(".pill")).to_have_text("Done")


@pytest.mark.parametrize("name", ["write", "scale", "tell", "catalogue", "shout"])
def test_the_code_runs(tab: Visit, tmp_path: Path, name: str) -> None:
    page = tab.open(name)
    expected = fill_in(page, name, tmp_path)
    for kind, program in (("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])):
        done = subprocess.run(
            [*program, code(page, kind)], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        if kind == "Python" or name != "scale":
            assert expected in done.stdout
    if name == "scale":
        with PIL.Image.open(tmp_path / "answer.png") as saved:
            assert saved.size == (15, 10)


def fill_in(page: Page, name: str, folder: Path) -> str:
    """Fill in a form with what needs quoting, and return what the answer holds."""
    match name:
        case "write":
            page.get_by_label("text", exact=True).fill('it\'s "so" $HOME\nä')
            page.get_by_role("switch").check()
            return 'it\'s "so" $HOME\nä'
        case "scale":
            PIL.Image.new("RGB", (30, 20)).save(folder / "a 'b'.png")
            page.get_by_label("picture").set_input_files(folder / "a 'b'.png")
            page.get_by_role("switch").check()
            return "answer.png"
        case "tell":
            page.get_by_label("words").fill("2")
            return "word 0 word 1"
        case "shout":
            page.locator("textarea").first.fill("it's")
            return "IT'S"
    page.get_by_label("title").fill("Bread")
    page.get_by_label("pages").fill("7")
    page.get_by_label("name", exact=True).fill("Ann")
    return "Bread"


def test_copying(tab: Visit) -> None:
    page = tab.open("tell")
    page.get_by_role("button", name="Copy the code").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl -N 'http://")


def test_with_the_keyboard_alone(tab: Visit) -> None:
    page = tab.open()
    press = page.keyboard.press
    press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    link = page.get_by_role("main").get_by_role("link").filter(has_text="/write")
    while not link.evaluate("e => e === document.activeElement"):
        press("Tab")
    assert link.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", "focus is seen"
    press("Enter")
    text = page.get_by_label("text", exact=True)
    expect(text).to_be_visible()
    while not text.evaluate("e => e === document.activeElement"):
        press("Tab")
    page.keyboard.type("typed")
    press("Control+Enter")
    expect(result(page).locator("pre")).to_have_text("typed")
    curl = page.get_by_role("tab", name="curl")
    while not curl.evaluate("e => e === document.activeElement"):
        press("Tab")
    press("ArrowRight")
    expect(page.get_by_role("tab", name="Python")).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_contain_text("import bentoml")


LOOK = """() => {
    const light = ([r, g, b]) => { const f = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b) };
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const rgba = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data] };
    const ground = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 200) return c }
        return rgba("white") };
    const weak = [];
    for (const e of document.querySelectorAll("main *, header *")) {
        const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        if (!own || !e.checkVisibility() || e.closest(":disabled, noscript, option")) continue;
        const [a, b] = [light(rgba(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) weak.push(e.textContent + " " + ((a + 0.05) / (b + 0.05)).toFixed(2));
    }
    return weak;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_readable(chromium: Browser, gallery: str, scheme: str) -> None:
    with visit(chromium, gallery, scheme=scheme) as tab:
        page = tab.open("catalogue")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(18, 19, 21)") == (scheme == "dark")
        page.get_by_label("title").fill("Bread")
        page.get_by_label("pages").fill("7")
        page.get_by_label("name", exact=True).fill("Ann")
        tab.send()
        page.locator(".json .string").first.wait_for()
        assert page.evaluate(LOOK) == []


def test_the_theme_is_switched_and_kept(tab: Visit) -> None:
    page = tab.open()
    for name, ground in (("auto", 247), ("light", 247), ("dark", 18)):
        switch = page.get_by_role("button", name="Theme:")
        expect(switch).to_have_accessible_name(f"Theme: {name}")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor").startswith(f"rgb({ground},")
        if name != "dark":
            switch.click()
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()


@pytest.mark.parametrize("width", [360, 800, 1280, 1920])
def test_nothing_overflows(chromium: Browser, gallery: str, width: int) -> None:
    with visit(chromium, gallery, width=width) as tab:
        for api in ("", "write", "shelve", "scale", "invert", "mixed", "train"):
            page = tab.open(api)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), api
            cut = page.evaluate(
                "[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && !e.closest('pre, .hidden, .about, legend')"
                " && e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML)"
            )
            assert cut == []


def test_every_control_has_a_name(tab: Visit, tmp_path: Path) -> None:
    PIL.Image.new("RGB", (4, 2)).save(tmp_path / "a.png")
    for api in ("write", "shelve", "scale", "count", "mixed", "invert", "catalogue", "shout", "train"):
        page = tab.open(api)
        for box in page.locator("input[type=file]").all():
            box.set_input_files(tmp_path / "a.png")
        for add in page.get_by_role("button", name=re.compile("^(Add to|Set) ")).all():
            add.click()
        tree: Any = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
        nameless = [
            node["role"]["value"]
            for node in tree["nodes"]
            if node.get("role", {}).get("value")
            in (
                "button",
                "link",
                "textbox",
                "spinbutton",
                "combobox",
                "switch",
                "checkbox",
                "img",
                "tab",
                "tablist",
                "Date",
                "DateTime",
            )
            and not node.get("name", {}).get("value")
            and not node.get("ignored")
        ]
        assert nameless == [], api
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))


def test_nothing_moves_while_the_page_is_made(chromium: Browser, gallery: str) -> None:
    with visit(chromium, gallery) as tab:
        tab.page.add_init_script(
            "window.shift = 0; new PerformanceObserver(l => l.getEntries().forEach(e => window.shift += e.value))"
            ".observe({ type: 'layout-shift', buffered: true })"
        )
        page = tab.open("write")
        page.wait_for_timeout(300)
        assert page.evaluate("window.shift") < 0.02


def test_below_a_prefix_and_behind_a_proxy_with_a_path(chromium: Browser, project: Project) -> None:
    project.write(service_py=PREFIXED)
    with project.serve("service:Prefixed") as url, visit(chromium, f"{url}/v1/shop") as tab:
        page = tab.open("double")
        page.get_by_label("x").fill("4")
        tab.send()
        expect(result(page).locator("pre")).to_have_text("8")
        assert f"'{url}/v1/shop/double'" in code(page, "curl")
        done = subprocess.run(
            [sys.executable, "-c", code(page, "Python")], capture_output=True, text=True, timeout=120
        )
        assert done.stdout == "8\n", done.stderr
        page.goto(f"{url}/v1/shop")
        expect(page.get_by_role("heading", level=1)).to_have_text("Prefixed")
        assert page.url.rstrip("#/") == f"{url}/v1/shop"


PREFIXED = """
    import bentoml

    @bentoml.service(path_prefix="/v1/shop")
    class Prefixed:
        @bentoml.api
        def double(self, x: int) -> int:
            return 2 * x
"""


def test_a_service_that_asks_who_calls(chromium: Browser, project: Project) -> None:
    project.write(service_py=GUARDED)
    project.env["SHOP_KEYS"] = "open-sesame"
    with project.serve("service:Guarded") as url, visit(chromium, url) as tab:
        page = tab.page
        page.goto(url)
        expect(page.get_by_role("heading", level=1)).to_have_text("Who are you?")
        assert "Guarded" not in page.content()
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("main")).to_contain_text("does not accept this token")
        page.get_by_label("Token").fill("open-sesame")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Guarded")
        page.get_by_role("main").get_by_role("link").click()
        page.get_by_label("x").fill("4")
        tab.send()
        expect(result(page).locator("pre")).to_have_text("8")
        assert "open-sesame" not in page.content()
        for kind, program in (("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])):
            done = subprocess.run(
                [*program, code(page, kind)],
                env={**os.environ, "BENTOML_TOKEN": "open-sesame"}, capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert done.stdout.strip() == "8", done.stderr
        assert page.evaluate("Object.values(localStorage).join()").find("sesame") == -1
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("double")


GUARDED = """
    import bentoml

    @bentoml.service(auth={"type": "api_key", "env": "SHOP_KEYS"})
    class Guarded:
        @bentoml.api
        def double(self, x: int) -> int:
            return 2 * x
"""


def test_what_a_service_says_is_never_run(chromium: Browser, project: Project) -> None:
    project.write(service_py=HOSTILE)
    with project.serve("service:Hostile") as url, visit(chromium, url) as tab:
        page = tab.open()
        expect(page.get_by_role("main")).to_contain_text("bold")
        assert page.locator("main a[href^='javascript']").count() == 0
        assert page.locator("main img, main script").count() == 0
        tab.open("page")
        tab.send()
        expect(result(page).locator("pre")).to_contain_text("<script>")
        assert page.evaluate("window.owned") is None


HOSTILE = '''
    from typing import Annotated

    import bentoml
    from bentoml.validators import ContentType

    EVIL = "<script>window.owned = 1</script><img src=x onerror='window.owned = 1'> **bold** [x](javascript:window.owned=1)"

    @bentoml.service(description=EVIL)
    class Hostile:
        @bentoml.api
        def page(self) -> Annotated[str, ContentType("text/html")]:
            """<img src=x onerror='window.owned = 1'>"""
            return EVIL
'''


def test_a_readme(chromium: Browser, project: Project) -> None:
    project.write(service_py=WITH_README)
    with project.serve("service:Sorter") as url, visit(chromium, url) as tab:
        page = tab.open()
        prose = page.locator(".prose")
        expect(prose.get_by_role("heading")).to_have_text(["Sorter", "Use"])
        expect(prose.get_by_role("link")).to_have_attribute("href", "https://example.org/a_(b)")
        expect(prose.locator("ol > li")).to_have_count(2)
        expect(prose.locator("ol ul > li")).to_have_text(["as PNG", "as JPEG"])
        expect(prose.locator("td").first).to_have_text("picture")
        expect(prose.locator("pre")).to_have_text("client.sort()  # <b>not bold</b>")
        expect(prose.locator("blockquote")).to_have_text("Not for vegetables.")
        expect(prose.locator("code").first).to_have_text("30")
        assert "<img" not in prose.inner_text()


WITH_README = '''
    import bentoml

    README = """# Sorter

    Sorts at `30` a second, see [the paper](https://example.org/a_(b)).

    <p align="center"><img src="https://example.org/x.png"></p>

    ## Use

    1. Take a picture
    2. Send it
       - as PNG
       - as JPEG

    | field | what |
    |---|---|
    | picture | the *fruit* |

    ```python
    client.sort()  # <b>not bold</b>
    ```

    > Not for vegetables.
    """

    @bentoml.service(description="\\n".join(line.removeprefix("    ") for line in README.splitlines()))
    class Sorter:
        pass
'''


def test_answers_of_several_files_and_files_inside_of_objects(
    chromium: Browser, project: Project, tmp_path: Path
) -> None:
    project.write(service_py=OF_PARTS)
    PIL.Image.new("RGB", (4, 2), "red").save(tmp_path / "a.png")
    with project.serve("service:Parts") as url, visit(chromium, url) as tab:
        page = tab.open("twice")
        page.get_by_label("picture").set_input_files(tmp_path / "a.png")
        page.get_by_label("factor").fill("3")
        tab.send()
        parts = result(page).locator(".part")
        expect(parts.get_by_role("heading")).to_have_text(["sides", "large"])
        expect(parts.first.locator("pre")).to_have_text("[12, 6]")
        assert parts.last.locator("img").evaluate("e => e.decode().then(() => e.naturalWidth)") == 12


OF_PARTS = """
    from PIL import Image
    from pydantic import BaseModel, ConfigDict

    import bentoml

    class Job(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        picture: Image.Image
        factor: int = 2

    class Done(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        sides: list[int]
        large: Image.Image

    @bentoml.service
    class Parts:
        @bentoml.api
        def twice(self, job: Job) -> Done:
            size = [job.factor * side for side in job.picture.size]
            return Done(sides=size, large=job.picture.resize(tuple(size)))
"""


def test_behind_a_proxy_with_a_path(chromium: Browser, gallery: str) -> None:
    with visit(chromium, f"{gallery}/tools/shop") as tab:

        def pass_on(route: Route) -> None:
            route.fulfill(response=route.fetch(url=route.request.url.replace("/tools/shop", "")))

        tab.page.route("**/tools/shop/**", pass_on)
        page = tab.open("write")
        page.get_by_label("text", exact=True).fill("through the proxy")
        tab.send()
        expect(result(page).locator("pre")).to_have_text("through the proxy")
        assert f"'{gallery}/tools/shop/write'" in code(page, "curl")
    assert all(url.startswith((f"{gallery}/tools/shop/", "blob:")) for url in tab.requests)


def test_a_task_is_cancelled(chromium: Browser, project: Project) -> None:
    project.write(service_py=SLOW)
    with project.serve("service:Slow") as url, visit(chromium, url) as tab:
        page = tab.open("work")
        page.get_by_role("button", name="Submit task").click()
        state = page.get_by_role("region", name="Tasks").locator(".pill")
        expect(state).to_have_text("Running")
        page.get_by_role("button", name="Cancel task").click()
        expect(state).to_have_text("Cancelled")
        expect(page.get_by_role("button", name="Result task")).to_be_disabled()
        page.get_by_role("button", name="Retry task").click()
        expect(state).to_have_count(2)
        page.get_by_role("button", name="Cancel task").first.click()
        expect(state.first).to_have_text("Cancelled")


SLOW = """
    import asyncio

    import bentoml

    @bentoml.service
    class Slow:
        @bentoml.task
        async def work(self) -> None:
            await asyncio.sleep(60)
"""


def test_a_service_that_went_away(chromium: Browser, project: Project) -> None:
    project.write(service_py=PREFIXED)
    with project.serve("service:Prefixed") as url, visit(chromium, f"{url}/v1/shop") as tab:
        page = tab.open("double")
        page.get_by_label("x").fill("4")
        page.route("**/double", lambda route: route.abort())
        page.get_by_role("button", name="Send").click()
        expect(result(page).get_by_role("alert")).to_contain_text("The service cannot be reached")
        expect(page.get_by_role("button", name="Send")).to_be_focused()
        tab.complaints.clear()  # that it could not connect
