"""What students write is safe to open: in the feedback page and in the formgrader, whose copy is made safe too."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tiny_course as tiny
from browsing import IN_A_BROWSER
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.server_extensions.formgrader import handlers

from grader import feedback, safe

ELSEWHERE = "http://elsewhere.example"
HIT = "window.hits = (window.hits || 0) + 1"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="  # 1×1, red
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{HIT}"><script>{HIT}</script></svg>'
HOSTILE = {
    "script": f"<script>{HIT}</script>",
    "image": f'<img src="x" onerror="{HIT}">',
    "remote image": f'<img src="{ELSEWHERE}/a.png">',
    "remote markdown image": f"![a]({ELSEWHERE}/b.png)",
    "svg": f'<svg onload="{HIT}"><circle r="9"/></svg>',
    "svg picture": f'<img src="data:image/svg+xml;base64,{base64.b64encode(SVG.encode()).decode()}">',
    "link": f'<a id="go" href="javascript:{HIT}">look</a>',
    "markdown link": f"[look](javascript:{HIT.replace(' ', '%20')})",
    "data link": "[look](data:text/html,<script>1</script>)",
    "style": '<style>body::before { content: "GRADE 10/10" }</style>',
    "overlay": '<p style="position:fixed;top:0;left:0">GRADE 10/10</p>',
    "remote style": f'<link rel="stylesheet" href="{ELSEWHERE}/c.css"><style>@import "{ELSEWHERE}/d.css";</style>',
    "frame": f'<iframe src="{ELSEWHERE}/e.html" srcdoc="<script>parent.{HIT}</script>"></iframe>',
    "object": f'<object data="{ELSEWHERE}/f"></object><embed src="{ELSEWHERE}/g">',
    "form": f'<form action="{ELSEWHERE}/h"><input autofocus onfocus="{HIT}"></form>',
    "details": f'<details open ontoggle="{HIT}"><summary>s</summary></details>',
    "media": f'<video src="{ELSEWHERE}/i.mp4" onerror="{HIT}"></video><audio src=x onerror="{HIT}">',
    "meta": f'<meta http-equiv="refresh" content="0; url={ELSEWHERE}/j"><base href="{ELSEWHERE}/">',
    "math": f'<math><mtext></form><form><mglyph><style></math><img src onerror="{HIT}">',
    "link in a formula": rf"$\href{{javascript:{HIT}}}{{x}}$",
    "markup in a formula": rf"$\text{{<img src=x onerror='{HIT}'>}}$",
    "markup in code": f"```python\n<script>{HIT}</script>\n```",
    "markup in a fence's name": f'```"><img/src=x/onerror={HIT.replace(" ", "")}>\nx\n```',
    "class of the page": '<div class="mark" id="test-double">double: 2.0 of 2.0</div>',
    "comment": f"<!--><script>{HIT}</script>-->",
    "unclosed": f'<img src="x" onerror="{HIT}" ',
    "mermaid": f"```mermaid\n<img src=x onerror={HIT}>\n```",
}
OUTPUTS = {
    "alt": new_output(
        "display_data", {"image/png": PIXEL}, metadata={"image/png": {"alt": f'a" onerror="{HIT}" x="<script>'}}
    ),
    "size": new_output(
        "display_data",
        {"image/png": PIXEL},
        metadata={"image/png": {"width": f'9" onerror="{HIT}', "height": f'9" onload="{HIT}'}},
    ),
    "picture": new_output("display_data", {"image/png": f'x" onerror="{HIT}" x="', "text/plain": "no picture"}),
    "javascript": new_output("display_data", {"application/javascript": HIT, "text/plain": "no script"}),
    "svg": new_output("display_data", {"image/svg+xml": SVG, "text/plain": "no drawing"}),
    "latex": new_output("display_data", {"text/latex": HOSTILE["script"] + "$x^2$"}),
    "isolated": new_output("display_data", {"text/html": HOSTILE["script"]}, metadata={"isolated": True}),
    "widget": new_output("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}),
    "plain": new_output("display_data", {"text/plain": HOSTILE["script"]}),
    "stream": new_output("stream", name="stdout", text=HOSTILE["script"] + "\x1b[31m<b>red</b>"),
    "error": new_output("error", ename=HOSTILE["script"], evalue=HOSTILE["image"], traceback=[HOSTILE["image"]]),
    "error's name": new_output("error", ename='"><script>', evalue="", traceback=[f"<script>{HIT}</script>"]),
}
OUTPUTS |= {
    f"{name} as {kind}": new_output("display_data", {kind: text}, metadata={})
    for name, text in HOSTILE.items()
    for kind in ("text/html", "text/markdown")
}


def notebook(*cells):
    """As a student's notebook comes from the kernel."""
    made = new_notebook(cells=[*cells])
    for cell in made.cells:
        cell.metadata.setdefault("nbgrader", {})
    return made


def hostile():
    texts = [new_markdown_cell(text) for text in HOSTILE.values()]
    texts += [
        tiny.cell("markdown", "written-why", text, grade=True, solution=True, points=4) for text in HOSTILE.values()
    ]
    code = new_code_cell(f'"""</pre>{HOSTILE["script"]}"""', outputs=[*OUTPUTS.values()])
    return notebook(*texts, code)


def made_safe(nb):
    done, _ = safe.MakeSafe().preprocess(nb, {})
    return done


def page(nb, monkeypatch=None) -> str:
    """The feedback page of a notebook in which nobody has marked anything."""
    for cell in nb.cells:
        facts = cell.metadata.get("nbgrader", {})
        if facts.get("grade"):
            facts |= {"score": 0, "points": 4, "unread": True, "comment": None}
    facts = {"notebook": "numbers", "score": 0, "max_score": 10, "late_penalty": 0}
    return feedback.Feedback().from_notebook_node(nb, {"nbgrader": facts})[0]


def formgraders(nb) -> str:
    """The formgrader's page of a notebook."""
    exporter = HTMLExporter(template_name="formgrade", extra_template_basedirs=[handlers.template_path])
    names = ("assignment_id", "notebook_id", "submission_id", "student", "last_name", "first_name", "notebook_path")
    resources = dict.fromkeys(names, "x") | {"index": 0, "total": 1, "base_url": ""}
    return exporter.from_notebook_node(nb, resources=resources)[0]


class Tags(HTMLParser):
    """The tags of a page and their attributes, read as a browser would."""

    def __init__(self, page: str):
        super().__init__()
        self.names, self.attributes = set(), set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}


RUNS_OR_LOADS = {
    "script",
    "style",
    "iframe",
    "object",
    "embed",
    "form",
    "link",
    "meta",
    "base",
    "svg",
    "video",
    "input",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_text_is_safe(text):
    for cleaned in (safe.markdown(text), safe.clean(text)):
        tags = Tags(cleaned)
        assert not tags.names & RUNS_OR_LOADS
        assert not [name for name, _ in tags.attributes if name.startswith("on") or name in ("style", "class", "id")]
        addresses = [value for name, value in tags.attributes if name in ("src", "href")]
        assert not [value for value in addresses if not re.match("data:image/png|https://", value)]


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a **bold** word", "<strong>bold</strong>"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "<td>2</td>"),
        ("`a < b` and a < b", "<code>a &lt; b</code> and a &lt; b"),
        ("[here](https://example.org)", 'href="https://example.org"'),
        ("$M_c=\\sum_k w_k^c f_k$", "<msubsup><mi>w</mi><mi>k</mi><mi>c</mi></msubsup>"),
        ("$$\\frac{1}{hw}$$", '<math display="block">'),
        ("\\begin{align} a &= b \\\\ c &= d \\end{align}", "<mtable>"),
        ("$\\frac{$ is no formula", "<code>\\frac{</code>"),
        ("$" + "{" * 2000 + "$", "<code>{{{"),
        ("costs $5 and $6", "costs"),
        ("$a<b$", "&lt;"),
        (f"![dot](data:image/png;base64,{PIXEL})", f'src="data:image/png;base64,{PIXEL}" alt="dot"'),
    ],
)
def test_what_is_innocent_stays_and_formulas_need_no_script(text, shown):
    assert shown in safe.markdown(text)


def test_a_text_that_would_take_long_to_convert_is_shown_as_it_is():
    shown = safe.markdown("**x** <" * 100_000)
    assert shown.startswith("<pre>**x** &lt;") and len(shown) < 1_000_000


@pytest.mark.parametrize("text", ["$a_1 * b_2 * c$\n\n- one\n- $$x$$", "```\na\n\n\nb\n```", "<p>x\n\n<b>y"])
def test_a_safe_copy_looks_the_same_when_it_is_converted_again(text):
    (cell,) = made_safe(notebook(new_markdown_cell(text))).cells
    again = safe.markdown(cell.source)
    assert again.strip() == f"<div>{safe.markdown(text)}</div>".strip()


def test_cells_of_the_course_stay_as_they_are():
    cells = [tiny.cell("markdown", "task-double", "Read <b>this</b> $x$.", locked=True)]
    assert made_safe(notebook(*cells)).cells[0].source == "Read <b>this</b> $x$."


def test_attached_pictures_are_shown():
    cell = new_markdown_cell("![a dot](attachment:dot.png)", attachments={"dot.png": {"image/png": PIXEL}})
    shown = page(made_safe(notebook(cell)))
    assert f'<img src="data:image/png;base64,{PIXEL}" alt="a dot">' in shown


def test_a_pictures_text_for_screen_readers_is_not_shown_below_it():
    picture = new_output("display_data", {"image/png": PIXEL}, metadata={"image/png": {"alt": "A dot & a line"}})
    below = new_output("display_data", {"text/html": '<p style="position:absolute">A dot &amp; a line</p>'})
    other = new_output("display_data", {"text/html": "<p>A table</p>"})
    shown = page(made_safe(notebook(new_code_cell("1", outputs=[picture, below, other]))))
    assert shown.count("A dot") == 1 and "position:absolute" not in shown and "<p>A table</p>" in shown


def test_marks_are_named_by_exercise_and_written_parts_wait_for_a_reader():
    nb = tiny.source()
    for cell in nb.cells:
        facts = cell.metadata.nbgrader
        if facts.grade:
            unread = facts.grade_id == "written-why"
            facts |= {"score": 0 if unread else facts.points, "unread": unread, "comment": "<i>Well</i> **done**"}
    facts = {"notebook": "numbers", "score": 6, "max_score": 10, "late_penalty": 0}
    shown = feedback.Feedback().from_notebook_node(nb, {"nbgrader": facts})[0]
    rows = re.findall(r'<tr><td><a href="#([\w-]+)">([\w-]+)</a></td><td>(.*)</td></tr>', shown)
    assert rows == [
        ("test-double", "double", "2.0 of 2.0"),
        ("test-largest", "largest", "4.0 of 4.0"),
        ("written-why", "written-why", "not marked yet, 4.0 points"),
    ]
    assert "6.0 of 10.0 points</b>; not marked yet: 4.0 points" in shown
    assert "<strong>done</strong>" in shown
    assert all(f'id="{link}"' in shown for link, *_ in rows)


def test_a_page_forbids_what_it_does_not_need_and_holds_all_it_needs():
    shown = page(made_safe(hostile()))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', shown)[1]
    assert policy.startswith("default-src 'none'") and "script" not in policy
    assert not re.search(r"<script|<link|@import|url\(", shown)


def in_a_browser(test):
    for mark in IN_A_BROWSER:
        test = mark(test)
    return test


def opened(browser, path: Path) -> dict:
    """What happens when a page is opened and the students' links in it are clicked."""
    context = browser.new_context()
    asked, tab = [], context.new_page()
    context.route("**/*", lambda route: (asked.append(route.request.url), route.continue_()))
    tab.goto(path.as_uri())
    tab.evaluate("document.querySelectorAll('a').forEach(link => link.textContent.includes('look') && link.click())")
    tab.wait_for_timeout(500)
    shown = tab.evaluate("[...document.querySelectorAll('*')].map(e => getComputedStyle(e, '::before').content).join()")
    result = {
        "hits": tab.evaluate("window.hits || 0"),
        "asked": [url for url in asked if not url.startswith(("file:", "data:"))],
        "styled": "GRADE" in shown,
        "over": tab.evaluate("[...document.querySelectorAll('*')].some(e => getComputedStyle(e).position == 'fixed')"),
        "formula": tab.evaluate(
            "[...document.querySelectorAll('math')].some(m => m.getBoundingClientRect().width > 40)"
        ),
        "pictures": tab.evaluate("[...document.images].filter(i => i.naturalWidth).length"),
    }
    context.close()
    return result


@in_a_browser
def test_nothing_of_a_student_runs_or_loads_in_a_browser(browser, tmp_path):
    nb = hostile()
    dot = f"![dot](data:image/png;base64,{PIXEL})"
    nb.cells.append(new_markdown_cell(f"$\\sum_k w_k^c \\frac{{1}}{{hw}} f_k$ {dot}"))
    bare = f"<body>{HOSTILE['image']}{HOSTILE['style']}{HOSTILE['remote image']}"
    (tmp_path / "bare.html").write_text(bare)
    found = opened(browser, tmp_path / "bare.html")  # the counter counts
    assert found["hits"] > 0 and found["asked"] and found["styled"]
    copy = made_safe(nb)
    (tmp_path / "formgrader.html").write_text(re.sub(r"(?s)<head>.*?</head>", "", formgraders(copy)), encoding="utf-8")
    (tmp_path / "feedback.html").write_text(page(copy), encoding="utf-8")
    clean = {"hits": 0, "asked": [], "styled": False, "over": False, "formula": True}
    for name in ("formgrader", "feedback"):
        found = opened(browser, tmp_path / f"{name}.html")
        assert found.pop("pictures") >= 1
        assert found == clean, name
