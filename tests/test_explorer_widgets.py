"""The explorer's widgets, driven from the kernel's side: every control to its ends, bad files, stale events, errors."""

import asyncio
import io
import logging
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from tiny_networks import Counted, Tiny, blobs, tiny_network

import cam_explorer
import drawn_world
from cam_explorer import Explorer, Settings, Source, read_out
from cam_explorer.render import percent
from cam_explorer.widgets import Cells, ClassBox, Debounced
from cam_helpers import NotCamCompatible
from cam_helpers.images import PictureError
from cam_helpers.maps import resize

NAMES = ["cat", "crane", "crane", "tiger cat", "dog"]


def room(n=2, network=None, **how):
    return Source(network or tiny_network(), NAMES, blobs(n), side=64, show=64, **how)


@pytest.fixture
def app():
    return Explorer(room(), ask=("picture", "label", "upload"))


def said(app):
    return app.text.value, app.message.value


def everything(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


# -- the explorer -------------------------------------------------------------------------------------------------


def test_it_opens_on_the_prediction_of_the_first_picture(app):
    best = app.current().top()[0][0]
    assert app.settings.label is None and app.control["label"].value == ""
    assert f">{NAMES[best]}: strongest at the " in app.text.value and app.message.value == ""
    assert app.image.value[:4] == b"\x89PNG" and app.image.tooltip in app.text.value.replace("&#x27;", "'")
    assert app.photo.value[:4] == b"\x89PNG" and app.photo.tooltip == "picture"


def test_only_what_the_question_names_is_on_screen():
    app = Explorer(room(), ask=("threshold",))
    drawer, opener = app.children[-1], app.children[-2]
    hidden = {name for name, control in app.control.items() if control in set(everything(drawer))}
    assert hidden == {*app.control} - {"threshold"} >= {"picture", "label", "style", "opacity"}
    assert drawer.layout.display == "none"
    opener.value = True
    assert drawer.layout.display == "flex"


def test_classes_are_found_by_click_and_by_typing_and_an_empty_box_follows(app):
    app.words.children[2].click()
    third = app.current().top()[2][0]
    assert app.settings.label == third and app.control["label"].value == app.control["label"].names[third]
    app.control["label"].value = "dog"
    assert app.settings.label == 4 and app.text.value.count("dog:") == 1
    app.control["label"].value = ""
    assert app.settings.label is None and f">{NAMES[app.current().top()[0][0]]}: " in app.text.value


def test_the_first_three_words_and_their_scores_are_always_there(app):
    picture = app.current()
    expected = [f"{NAMES[c]}  {picture.cams.logits[0, c]:.2f}  ({percent(part)})" for c, part in picture.top(3)]
    assert [button.description for button in app.words.children] == expected
    app.set(off=tuple(range(8)))  # all units: only the constants are left
    scores = sorted(picture.cams.bias.tolist(), reverse=True)[:3]
    assert [float(b.description.split("  ")[1]) for b in app.words.children] == pytest.approx(scores, abs=0.006)


def test_one_class_minus_another(app):
    app = Explorer(room(), Settings(label=0, style="signed"), ask=("label", "against"))
    app.control["against"].value = "dog"
    assert app.settings.against == 4 and ">cat minus dog: the lead is " in app.text.value
    app.control["against"].value = ""
    assert app.settings.against is None and ">cat: " in app.text.value


def test_a_cell_is_pointed_at_by_click_and_by_number():
    app = Explorer(room(), ask=("cell", "picture"))
    rows, columns = app.current().cams.features.shape[2:]
    heat = app.current().map(app.settings)
    assert (app.control["row"].value, app.control["column"].value) == divmod(int(heat.argmax()), columns)
    image, buttons = app._cells.children
    assert image is app.image and not any(button.tabbable for button in buttons.children)
    buttons.children[17].click()
    row, column = app.settings.cell
    assert buttons.children[17].tooltip == f"row {row}, column {column}"
    assert f">Row {row}, column {column}: " in app.text.value
    assert (app.control["row"].value, app.control["column"].value) == (row, column)
    for end in (0, rows - 1):
        app.control["row"].value = end
        assert app.settings.cell == (end, column) and app.message.value == ""
    assert app.control["row"].max == rows - 1 and app.control["column"].max == columns - 1
    app.control["picture"].value = "picture (2)"
    assert app.settings.cell is None and ">Row" not in app.text.value


def test_a_fine_map_has_a_button_for_several_cells():
    clicked = []
    cells = Cells(widgets.Image(), clicked.append)
    cells.show((32, 8), 100, 26)
    buttons = cells.children[1].children
    assert len(buttons) == 16 * 8
    buttons[0].click(), buttons[-1].click()
    assert clicked == [(1, 0), (31, 7)]


@pytest.mark.parametrize(
    ("text", "index"), [("cat", 0), ("CRANE", 1), ("crane (2)", 2), (" tiger ", 3), ("do", 4), ("4", 4)]
)
def test_a_name_is_found_by_any_part_that_no_other_has(text, index):
    assert ClassBox(NAMES).find(text) == index


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("cran", "2 classes have 'cran' in the name: did you mean crane, crane (2)?"),
        ("dig", "no classes have 'dig' in the name: did you mean dog?"),
        ("xyzzy", "no classes have 'xyzzy' in the name: choose one from the list"),
        ("9", "no classes have '9' in the name: choose one from the list"),
    ],
)
def test_a_name_that_is_none_is_said_and_the_picture_stays(app, text, error):
    before, settings = app.image.value, app.settings
    app.control["label"].value = text
    assert error.replace("'", "&#x27;") in app.message.value and 'role="alert"' in app.message.value
    assert app.image.value == before and app.settings == settings
    app.control["label"].value = "dog"
    assert app.message.value == ""


def test_every_control_goes_to_both_ends_without_a_complaint(app, caplog):
    """And changes the picture or its text, or says nothing at all where there is nothing to change."""
    driven = 0
    for widget in everything(app):
        if isinstance(widget, widgets.Dropdown):
            values = widget.options
        elif isinstance(widget, (widgets.FloatSlider, widgets.BoundedFloatText)):
            values = (widget.min, widget.max, 0.5)
        elif isinstance(widget, widgets.ToggleButton):
            values = (not widget.value, widget.value)
        else:
            continue
        for value in values:
            widget.value = value
            driven += 1
            assert app.message.value == "", (widget.description, value)
            assert app.image.value[:4] == b"\x89PNG"
    for widget in everything(app):
        if isinstance(widget, widgets.Button):
            widget.click()
    assert driven > 20 and not caplog.records
    assert app.settings.threshold == 0.5 and app.settings.weights == "positive"


def test_every_control_has_a_visible_label_and_the_picture_a_name(app):
    cells = Explorer(app.source, ask=("cell",))
    others = [cam_explorer.Why(app.source), cam_explorer.Classes(app.source), cam_explorer.Film(app.source, blobs(2))]
    for widget in [w for a in (app, cells, *others) for w in everything(a)]:
        if isinstance(widget, widgets.Image):
            assert widget.tooltip and widget.get_state()["description"] == ""  # the front end needs both
        elif isinstance(widget, widgets.Button) and widget.tabbable is False:
            assert widget.tooltip.startswith("row ")  # unseen, over a cell
        elif isinstance(widget, (widgets.Dropdown, widgets.Text, widgets.Combobox, widgets.Checkbox, widgets.Button,
                                 widgets.BoundedFloatText, widgets.FileUpload, widgets.ToggleButton)):  # fmt: skip
            assert widget.description.strip(), widget


def test_a_picture_is_chosen(app):
    images = app.image.value, app.photo.value
    app.control["picture"].value = "picture (2)"
    assert app.settings.picture == "picture (2)" and app.image.value != images[0] and app.photo.value != images[1]


def test_one_forward_pass_whatever_is_moved():
    wrapped = Counted(tiny_network())
    app = Explorer(room(3, wrapped))
    for value in (0.1, 0.5, 0.9):
        app.set(threshold=value, label=2, scale="shared", weights="softmax", off=(1,))
    assert wrapped.calls == [1]


def test_a_thousand_classes_are_searched_and_only_the_one_shown_is_built_at_full_size(monkeypatch):
    built = []
    drawing = sys.modules["cam_explorer.render"]
    monkeypatch.setattr(drawing, "resize", lambda m, size: built.append(m.shape) or resize(m, size))
    names = [f"class {i}" for i in range(1000)]
    app = Explorer(Source(tiny_network(1000), names, blobs(1), side=64, show=64), Settings(scale="shared"))
    assert app.control["label"].options == tuple(names)
    for text, index in (("class 987", 987), ("s 123", 123), ("999", 999)):
        app.control["label"].value = text
        assert app.settings.label == index and app.message.value == ""
    assert len(built) == 4 and all(shape[:2] == (1, 1) for shape in built)


def test_a_network_without_maps_says_why():
    hidden = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 5))
    network = Tiny(lambda net, f: net.head(f.mean((2, 3))), hidden).eval()
    with pytest.raises(NotCamCompatible, match="head"):
        Source(network, NAMES, blobs(1)).forward()


# -- files --------------------------------------------------------------------------------------------------------


def saved(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def upload(app, data, name, size=None):
    now = datetime(2020, 1, 1, tzinfo=UTC)
    file = {"name": name, "type": "", "size": len(data) if size is None else size, "content": memoryview(data)}
    app.upload.value = ({**file, "last_modified": now},)


PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
BOMB = Image.new("1", (20_000, 20_000))


@pytest.mark.parametrize(
    ("name", "data", "size", "error"),
    [
        ("a.png", b"", None, "a.png is empty: fetch it again, or save it as JPEG or PNG"),
        ("a.jpg", b"dear diary", None, "a.jpg is not a picture that can be read: fetch it again, or save it as"),
        ("a.png", saved(PHOTO)[:2000], None, "a.png is damaged or cut off ("),
        ("a.png", saved(BOMB), None, "a.png has more pixels than are safe, the limit is 50,000,000: make it smaller"),
        ("a.tif", b"II*", 300_000_000, "a.tif has 300 MB, the limit is 50 MB: make it smaller"),
    ],
)  # fmt: skip
def test_a_bad_upload_is_said_and_the_previous_picture_stays(app, name, data, size, error):
    before, settings = app.image.value, app.settings
    upload(app, data, name, size)
    assert error in app.message.value and 'role="alert"' in app.message.value
    assert app.image.value == before and app.settings == settings and app.upload.value == ()
    assert list(app.source.pictures) == ["picture", "picture (2)"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jpg", saved(PHOTO.convert("CMYK"), "JPEG")),
        ("a.gif", saved(PHOTO, "GIF", save_all=True, append_images=[PHOTO.rotate(180)])),
        ("a.png", saved(PHOTO.convert("RGBA"))),
    ],
)
def test_unusual_uploads_are_shown(app, name, data):
    upload(app, data, name)
    assert app.message.value == "" and app.settings.picture == "a" and "a" in app.control["picture"].options
    upload(app, data, name)  # the same again: a second picture
    assert app.settings.picture == "a (2)"


def test_three_uploads_of_one_name_are_three_pictures_and_are_counted(app):
    """As phones name them. The button shows how many values it has."""
    photos = [Image.new("RGB", (64, 64), colour) for colour in ("red", "lime", "blue")]
    for i, photo in enumerate(photos):
        upload(app, saved(photo, "JPEG"), "image.jpg")
        assert np.asarray(app.current().photo).mean((0, 1)).argmax() == i and app.message.value == ""
        assert len(app.upload.value) == i + 1 and not any(file["content"] for file in app.upload.value)
    assert list(app.source.pictures)[2:] == ["image", "image (2)", "image (3)"]
    upload(app, b"", "empty.png")
    assert len(app.upload.value) == 3 and "empty.png is empty" in app.message.value
    for i, name in enumerate(list(app.source.pictures)[2:]):
        app.control["picture"].value = name
        assert np.asarray(app.current().photo).mean((0, 1)).argmax() == i


def test_a_new_photo_follows_its_prediction(app):
    best = app.current().top()[0][0]
    app.set(label=(best + 1) % len(NAMES), unit=3, off=(1,), against=2)
    upload(app, saved(PHOTO), "new.png")
    changed = {"label": None, "against": None, "unit": None, "off": ()}
    assert app.settings == replace(app.settings, picture="new", **changed)
    predicted = app.current().top()[0][0]
    assert f">{NAMES[predicted]}: " in app.text.value and app.control["label"].value == ""
    app.set(label=4)
    app.control["picture"].value = "picture"  # an older picture keeps the class that the reader looks for
    assert app.settings.label == 4 and app.settings.picture == "picture"


def test_a_picture_that_is_no_picture(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no")
    app = Explorer(Source(tiny_network(), NAMES, {"good": blobs(1)[0], "bad": tmp_path / "bad.png"}, side=64, show=64))
    before = app.image.value
    app.control["picture"].value = "bad"
    assert "bad.png is not a picture" in app.message.value
    assert app.settings.picture == app.control["picture"].value == "good" and app.image.value == before


# -- events -------------------------------------------------------------------------------------------------------


def test_stale_events_are_dropped(app):
    drawn, draw = [], app.draw
    app.draw = lambda: drawn.append(app.settings.threshold) or draw()

    async def drag():
        for value in np.linspace(0.1, 0.9, 30):
            app.set(threshold=round(float(value), 2))
        await asyncio.sleep(0.1)
        app.set(threshold=0.33)
        await asyncio.sleep(0.1)

    asyncio.run(drag())
    assert drawn == [0.9, 0.33]
    app.set(threshold=0.5)  # no loop: at once
    assert drawn[-1] == 0.5


def test_what_is_pending_can_be_done_now():
    calls = []

    async def go():
        debounced = Debounced(lambda: calls.append(1))
        debounced()
        debounced()
        debounced.now()
        await asyncio.sleep(0.05)

    asyncio.run(go())
    assert calls == [1]


def test_an_error_inside_is_read_in_the_widget_and_in_the_log(app, monkeypatch, caplog):
    before, settings = app.image.value, app.settings
    monkeypatch.setattr("cam_explorer.single.draw", lambda *_: 1 // 0)
    with caplog.at_level(logging.ERROR):
        app.set(style="dim")
    assert "ZeroDivisionError" in app.message.value and app.image.value == before
    assert "ZeroDivisionError" in caplog.text and "Traceback" in caplog.text
    assert app.settings == settings
    assert next(w for w in everything(app) if getattr(w, "description", "") == "style").value == "heat"


# -- comparing, why, video, read-out ------------------------------------------------------------------------------


def test_classes_and_pictures_side_by_side():
    source = room()
    two = cam_explorer.Classes(source, ["cat", 4])
    assert (
        two.text.value.count("strongest at the") + two.text.value.count("no evidence") == 2 and two.message.value == ""
    )
    width = Image.open(io.BytesIO(two.image.value)).width
    two.boxes[2].value = "tiger"
    assert Image.open(io.BytesIO(two.image.value)).width > width and "\ntiger cat: " in two.text.value
    two.set(scale="shared")
    assert "One colour scale for all." in two.text.value
    two.boxes[2].value = "nobody"
    assert "no classes have" in two.message.value
    five = cam_explorer.Classes(source)
    assert five.text.value.count("%): ") == 5
    assert Image.open(io.BytesIO(five.image.value)).height < 2 * 64 + 26  # in a row

    many = cam_explorer.Pictures(source, Settings(label=4))
    assert ">Score of dog, highest first: picture" in many.text.value
    scores = [picture.cams.logits[0, 4].item() for _, _, picture in many.panels()]
    assert scores == sorted(scores, reverse=True)


def test_the_units_add_up_to_the_score_and_can_be_switched_off():
    source = room()
    app = cam_explorer.Why(source)
    picture, label = source.forward(), source.forward().top()[0][0]
    cams = picture.cams
    shares = cams.weight[label] * cams.features.mean((2, 3))[0]
    torch.testing.assert_close(shares.sum() + cams.bias[label], cams.logits[0, label])
    torch.testing.assert_close(picture.shares(app.settings), shares)
    assert app.units == shares.argsort(descending=True).tolist()
    assert app.bars.children[0].description == f"unit {app.units[0]}: {shares.max().item():+.3f}"
    score, constant = cams.logits[0, label].item(), cams.bias[label].item()
    listed = f"8 units add {shares.sum():+.2f}, the other 0 {0:+.2f}, the constant {constant:+.2f}"
    assert f"{listed}: {score:.2f}, the score." in app.text.value.replace("-0.00", "+0.00")

    app.ticks[0].value = True
    rest = score - shares.max()
    assert f": {rest:.2f}. As trained, with all units, the score is {score:.2f}." in app.text.value
    before = app.image.value
    app.bars.children[7].click()
    assert app.settings.unit == app.units[7] and app.image.value != before
    assert f">Unit {app.units[7]} adds {shares[app.units[7]]:+.2f} to the score {score:.2f} of " in app.text.value
    for button in [w for w in everything(app) if isinstance(w, widgets.Button)]:
        if button.description in ("show the class's map", "switch all units on"):
            button.click()
    assert app.settings.off == () and app.settings.unit is None and not app.ticks[0].value and app.message.value == ""
    app.set(weights="softmax")
    assert "As trained, with all units, the score is" in app.text.value


@pytest.fixture(scope="module")
def clip():
    return drawn_world.load("video", "test", n=1, size=64)


def test_a_clip_is_computed_once_and_shown_frame_by_frame(clip):
    wrapped = Counted(tiny_network())
    film = cam_explorer.Film(room(1, wrapped), clip.images)
    frames = len(clip)
    assert sum(wrapped.calls) == frames
    assert f">Frame 1 of {frames}: first word " in film.text.value
    first = film.image.value, film.photo.value, film.curves.value
    for control in ("frame", "track"):
        for value in (frames, 1, 5):
            film.control[control].value = value
            assert f">Frame {value} of {frames}: first word " in film.text.value and film.message.value == ""
    assert all(a != b for a, b in zip(first, (film.image.value, film.photo.value, film.curves.value), strict=True))
    film.control["label"].value = "dog"
    assert ">Frame 5" in film.text.value and "\ndog: " in film.text.value and "dog" in film.curves.tooltip
    assert sum(wrapped.calls) == frames
    film.set(picture="frame 99")
    assert (
        "there is no picture called &#x27;frame 99&#x27;" in film.message.value and film.settings.picture == "frame 5"
    )


def test_wrong_first_words_are_known_drawn_and_said():
    frames = blobs(3)
    plain = cam_explorer.Film(room(1), frames)
    firsts = plain.scores.argmax(1).tolist()
    box = torch.tensor([[1.0, 1.0, 9.0, 9.0]])
    other = next(c for c in range(len(NAMES)) if c not in firsts)
    truth = [(torch.tensor([other]), box)] * 2 + [(torch.zeros(0).long(), box[:0])]
    film = cam_explorer.Film(room(1), frames, truth=truth)
    assert not plain.wrong and film.wrong == {0: firsts[0], 1: firsts[1]}  # an empty frame is not wrong
    assert film.true == [other] and film.photo.tooltip == f"frame 1; true (yellow): {NAMES[other]}"
    film.go_to(3)
    assert "which is not there" not in film.text.value
    film.go_to(2)
    assert f"first word {NAMES[firsts[1]]}, which is not there." in film.text.value
    shown = np.asarray(Image.open(io.BytesIO(film.curves.value)).convert("RGB"))
    red, blue = ((shown == np.array(colour)).all(2).sum() for colour in ((0xB2, 0x18, 0x2B), (0x0B, 0x6F, 0xA4)))
    assert red > 20 and blue > 5


def test_a_clip_plays_pauses_and_a_typed_frame_stays(clip, monkeypatch):
    monkeypatch.setattr("cam_explorer.video.RATE", 50)
    film = cam_explorer.Film(room(1), clip.images[:4])
    shown, draw = [], film.draw
    film.draw = lambda: shown.append(film.settings.picture) or draw()

    async def until(condition):
        for _ in range(500):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(shown)

    async def watch():
        film.play.value = True
        assert film.play.description == "pause"
        await until(lambda: shown[-1:] == ["frame 1"])  # through the last frame to the first again
        film.control["frame"].value = 3
        assert not film.play.value and film.play.description == "play"
        await until(lambda: shown[-1] == "frame 3")
        count = len(shown)
        await asyncio.sleep(0.2)
        assert len(shown) == count

    asyncio.run(watch())
    assert shown[:4] == ["frame 2", "frame 3", "frame 4", "frame 1"]


def test_a_quick_pause_and_play_does_not_double_the_speed(clip, monkeypatch):
    """Once two steps followed each other in each turn, so that every second frame was never seen."""
    monkeypatch.setattr("cam_explorer.video.RATE", 20)
    film = cam_explorer.Film(room(1), clip.images[:4])

    async def watch():
        film.play.value = True
        await asyncio.sleep(0.03)
        film.play.value, film.play.value = False, True
        steps, move = [], film.set
        film.set = lambda **changes: steps.append(asyncio.get_running_loop().time()) or move(**changes)
        while len(steps) < 6:
            await asyncio.sleep(0.01)
        film.play.value = False
        return steps

    steps = asyncio.run(watch())
    assert min(after - before for before, after in pairwise(steps)) > 0.045


def test_frames_from_a_gif_a_folder_and_a_list(tmp_path):
    pages = [Image.new("RGB", (40, 30), colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:], duration=100)
    (tmp_path / "frames").mkdir()
    for i, page in enumerate(pages):
        page.save(tmp_path / "frames" / f"{i}.png")
    (tmp_path / "frames" / "notes.txt").write_text("not a frame")
    for source in (tmp_path / "a.gif", tmp_path / "frames", pages):
        frames = cam_explorer.read_frames(source)
        assert [int(f.float().mean((1, 2)).argmax()) for f in frames] == [0, 1, 2], source
    assert len(cam_explorer.read_frames(tmp_path / "a.gif", every=2)) == 2
    assert len(cam_explorer.read_frames(pages * 3, most=4)) == 4


def test_films_that_cannot_be_read_are_refused_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"not a film")
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    for missing in ("av", "cv2"):
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(PictureError, match=r"a\.mp4 cannot be read as a film.* PyAV .* GIF"):
        cam_explorer.read_frames(tmp_path / "a.mp4")
    with pytest.raises(PictureError, match="has no frames"):
        cam_explorer.read_frames(tmp_path / "empty")
    with pytest.raises(PictureError):
        cam_explorer.read_frames(tmp_path / "a.gif")
    with pytest.raises(FileNotFoundError):
        cam_explorer.read_frames(tmp_path / "none.mp4")


def test_a_real_film(test_data):
    pytest.importorskip("cv2")
    frames = cam_explorer.read_frames(test_data / "video" / "car-detection.mp4", every=10, most=3)
    assert len(frames) == 3 and frames[0].shape[0] == 3 and frames[0].dtype == torch.uint8
    assert (frames[0] != frames[2]).any()


def test_the_read_out_names_scene_kind_and_attributes():
    source = room(1)
    picture = source.forward()
    pooled, attributes = torch.rand(50, 8).numpy(), ["always", "half_open"]
    probe = OneVsRestClassifier(LogisticRegression()).fit(pooled, np.stack([np.arange(50) < 47, pooled[:, 2] > 0.5], 1))
    chances = probe.predict_proba(picture.cams.features.mean((2, 3)).numpy())[0]
    indoor = [True, False, True, False, False]
    inside = picture.probabilities[[0, 2]].sum().item()
    kind, scenes, found = read_out(picture, indoor, probe, attributes).split("\n")
    assert kind == (
        f"Type: indoor ({percent(inside)})." if inside >= 0.5 else f"Type: outdoor ({percent(1 - inside)})."
    )
    assert scenes == "Scenes: " + ", ".join(f"{NAMES[i]} ({percent(p)})" for i, p in picture.top() if p >= 0.01) + "."
    expected = [f"{name} ({percent(p)})" for name, p in zip(["always", "half open"], chances, strict=True) if p >= 0.5]
    assert sorted(found.removeprefix("Attributes: ").removesuffix(".").split(", ")) == sorted(expected)
    assert found.startswith("Attributes: always (")
    widget = Explorer(source, say=lambda picture: read_out(picture, indoor, probe, attributes))
    assert kind in widget.text.value and "strongest at the" in widget.text.value
    with pytest.raises(ValueError, match=r"each of 5 classes, got 2"):
        read_out(picture, [True, False], probe, attributes)
