"""The explorer's widgets, driven from the kernel's side: every control to its ends, bad files, stale events, errors."""

import asyncio
import io
import json
import logging
import os
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime

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
from cam_explorer import Explorer, Settings, Source, read_out, render
from cam_explorer.render import percent
from cam_explorer.settings import CHOICES
from cam_explorer.widgets import ClassBox, Debounced
from cam_helpers import NotCamCompatible
from cam_helpers.images import PictureError
from cam_helpers.maps import resize

NAMES = ["cat", "crane", "crane", "tiger cat", "dog"]


def room(n=2, network=None, **how):
    return Source(network or tiny_network(), NAMES, blobs(n), side=64, show=64, **how)


@pytest.fixture
def app(tmp_path):
    return Explorer(room(), folder=tmp_path / "out")


def said(app):
    return app.text.value, app.message.value


def everything(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


# -- the explorer -------------------------------------------------------------------------------------------------


def test_it_opens_on_the_prediction_of_the_first_picture(app):
    best = app.current().top()[0][0]
    assert app.settings.label is None and app.control["follow"].value
    assert app.control["label"].value == app.control["label"].names[best]
    assert f">{NAMES[best]}: strongest at the " in app.text.value and app.message.value == ""
    assert app.image.value[:4] == b"\x89PNG" and app.image.tooltip in app.text.value.replace("&#x27;", "'")


def test_classes_are_found_by_click_by_typing_and_by_following(app):
    app.bars.buttons[3].click()
    third = app.current().top()[3][0]
    assert (
        app.settings.label == third
        and app.control["label"].value == app.control["label"].names[third]
        and not app.control["follow"].value
    )
    app.control["label"].value = "dog"
    assert app.settings.label == 4 and app.text.value.count("dog:") == 1
    app.control["follow"].value = True
    assert (
        app.settings.label is None
        and app.control["label"].value == app.control["label"].names[app.current().top()[0][0]]
    )
    app.control["follow"].value = False
    assert app.settings.label == app.current().top()[0][0]


@pytest.mark.parametrize(
    ("text", "index"), [("cat", 0), ("CRANE", 1), ("crane (2)", 2), (" tiger ", 3), ("do", 4), ("4", 4)]
)
def test_a_name_is_found_by_any_part_that_no_other_has(text, index):
    assert ClassBox(NAMES).find(text) == index


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("cran", "2 classes have 'cran' in the name: did you mean crane, crane (2)?"),
        ("dig", "no class has 'dig' in the name: did you mean dog?"),
        ("xyzzy", "no class has 'xyzzy' in the name: choose one from the list"),
        ("9", "no class has '9' in the name: choose one from the list"),
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
        elif isinstance(widget, widgets.Checkbox):
            values = (not widget.value, widget.value)
        else:
            continue
        for value in values:
            widget.value = value
            driven += 1
            assert app.message.value == "", (widget.description, value)
            assert app.image.value[:4] == b"\x89PNG"
    for widget in everything(app):
        if isinstance(widget, widgets.Button) and widget.description != "save":
            widget.click()
    assert driven > 25 and not caplog.records
    assert app.settings.threshold == 0.5 and app.settings.weights == "positive"


def test_every_control_has_a_visible_label_and_the_picture_a_name(app, tmp_path):
    others = [cam_explorer.Why(app.source), cam_explorer.Classes(app.source), cam_explorer.Film(app.source, blobs(2))]
    for widget in [w for a in (app, *others) for w in everything(a)]:
        if isinstance(widget, widgets.Image):
            assert widget.tooltip and widget.get_state()["description"] == ""  # the front end needs both
        elif isinstance(widget, (widgets.Dropdown, widgets.Text, widgets.Combobox, widgets.Checkbox, widgets.Button,
                                 widgets.BoundedFloatText, widgets.FileUpload, widgets.ToggleButton)):  # fmt: skip
            assert widget.description.strip(), widget
        elif isinstance(widget, widgets.Play):
            assert widget.layout.display == "none"  # its buttons have no names


def test_a_picture_is_chosen_in_the_gallery(app):
    first = app.image.value
    app.gallery.buttons[1].click()
    assert app.settings.picture == "picture (2)" and app.image.value != first
    assert [b.description[0] == "▸" for b in app.gallery.buttons] == [False, True]


def test_one_forward_pass_and_the_gallery_costs_none():
    wrapped = Counted(tiny_network())
    app = Explorer(room(3, wrapped))
    for value in (0.1, 0.5, 0.9):
        app.set(threshold=value, label=2, scale="shared", weights="softmax")
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


def test_saved_is_a_picture_and_what_makes_it_again(app, tmp_path):
    app.set(label=3, style="signed", threshold=0.4)
    app.save("../my dog: 1")
    folder = tmp_path / "out"
    assert sorted(p.name for p in folder.iterdir()) == ["_my dog_ 1.json", "_my dog_ 1.png"]
    assert (folder / "_my dog_ 1.png").read_bytes() == app.image.value
    settings = Settings(**json.loads((folder / "_my dog_ 1.json").read_bytes()))
    assert settings == app.settings and Explorer(room(), settings).image.value == app.image.value
    assert "saved as" in app.message.value and 'role="status"' in app.message.value
    next(w for w in everything(app) if getattr(w, "description", "") == "save").click()
    assert (folder / "picture.png").exists()


def test_a_folder_that_cannot_be_written_is_said(app, tmp_path):
    (tmp_path / "file").write_text("")
    app.folder = tmp_path / "file"
    app.handle(app.save)
    assert "file" in app.message.value and 'role="alert"' in app.message.value
    assert os.listdir(tmp_path) == ["file"]


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
    assert app.message.value == "" and app.settings.picture == "a" and len(app.gallery.buttons) == 3
    upload(app, data, name)  # the same again: a second picture
    assert app.settings.picture == "a (2)"


def test_three_uploads_of_one_name_are_three_pictures(app):
    """As phones name them; the gallery shows each, too."""
    photos = [Image.new("RGB", (64, 64), colour) for colour in ("red", "lime", "blue")]
    for i, photo in enumerate(photos):
        upload(app, saved(photo, "JPEG"), "image.jpg")
        assert np.asarray(app.current().photo).mean((0, 1)).argmax() == i and app.message.value == ""
    assert list(app.source.pictures)[2:] == ["image", "image (2)", "image (3)"]
    for i, button in enumerate(app.gallery.buttons[2:]):
        button.click()
        assert np.asarray(app.current().photo).mean((0, 1)).argmax() == i
    thumbnails = re.findall(r"url\((data:[^)]+)\)", app.gallery._sheet.value)
    assert len(set(thumbnails)) == len(app.source.pictures) == 5


@pytest.mark.parametrize("way", ["upload", "path"])
def test_a_new_photo_follows_its_prediction(app, way, tmp_path):
    best = app.current().top()[0][0]
    app.set(label=(best + 1) % len(NAMES), unit=3)
    assert not app.control["follow"].value
    if way == "upload":
        upload(app, saved(PHOTO), "new.png")
    else:
        PHOTO.save(tmp_path / "new.png")
        app.path.value = str(tmp_path / "new.png")
    assert app.settings == replace(app.settings, picture="new", label=None, unit=None) and app.control["follow"].value
    predicted = app.current().top()[0][0]
    assert f">{NAMES[predicted]}: " in app.text.value
    app.set(label=4)
    app.gallery.buttons[0].click()  # an older picture keeps the class that the reader looks for
    assert app.settings.label == 4 and app.settings.picture == "picture"


def test_a_path_is_opened_or_refused(app, tmp_path):
    PHOTO.save(tmp_path / "dog.png")
    app.path.value = str(tmp_path / "dog.png")
    assert app.settings.picture == "dog" and app.message.value == ""
    before = app.image.value
    app.path.value = str(tmp_path / "none.png")
    assert f"{tmp_path / 'none.png'}: No such file or directory" in app.message.value and app.image.value == before
    app.path.value = str(tmp_path)
    assert "Is a directory" in app.message.value and app.settings.picture == "dog"


def test_a_picture_in_the_gallery_that_is_no_picture(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no")
    app = Explorer(Source(tiny_network(), NAMES, {"good": blobs(1)[0], "bad": tmp_path / "bad.png"}, side=64, show=64))
    before = app.image.value
    app.gallery.buttons[1].click()
    assert "bad.png is not a picture" in app.message.value
    assert app.settings.picture == "good" and app.image.value == before


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


def test_classes_pictures_and_networks_side_by_side():
    source = room()
    two = cam_explorer.Classes(source, ["cat", 4])
    assert (
        two.text.value.count("strongest at the") + two.text.value.count("no evidence") == 2 and two.message.value == ""
    )
    width = Image.open(io.BytesIO(two.image.value)).width
    two.boxes[2].value = "tiger"
    assert Image.open(io.BytesIO(two.image.value)).width > width and "tiger cat, " in two.text.value
    two.set(scale="shared")
    assert "One colour scale for all." in two.text.value
    two.boxes[2].value = "nobody"
    assert "no class has" in two.message.value
    five = cam_explorer.Classes(source)
    assert five.text.value.count("%: ") == 5 and Image.open(io.BytesIO(five.image.value)).height > 2 * 64

    many = cam_explorer.Pictures(source, "dog")
    assert "dog in 2 pictures, highest score first:\npicture" in many.text.value
    scores = [picture.cams.logits[0, 4].item() for _, _, picture in many.panels()]
    assert scores == sorted(scores, reverse=True)

    nets = cam_explorer.Networks({"a": source, "b": room(network=tiny_network(seed=7))})
    assert [caption.split(":")[0] for caption, _, _ in nets.panels()] == ["a", "b"] and nets.message.value == ""
    other = Source(tiny_network(2), ["cat", "dog"], blobs(2), side=64, show=64)
    lacking = cam_explorer.Networks({"a": source, "b": other}, Settings(label=3))
    assert "b has no class called &#x27;tiger cat&#x27;" in lacking.message.value


def test_the_units_add_up_to_the_score_and_can_be_switched_off():
    source = room()
    app = cam_explorer.Why(source)
    picture, label = source.forward(), source.forward().top()[0][0]
    cams = picture.cams
    shares = cams.weight[label] * cams.features.mean((2, 3))[0]
    torch.testing.assert_close(shares.sum() + cams.bias[label], cams.logits[0, label])
    torch.testing.assert_close(picture.shares(app.settings), shares)
    assert app.units == shares.argsort(descending=True).tolist()
    assert app.bars.buttons[0].description == f"unit {app.units[0]}: {shares.max().item():+.3f}"
    assert "the identity holds" in app.text.value

    app.ticks[0].value = True
    rest = cams.logits[0, label] - shares.max()
    assert (
        f"Without unit {app.units[0]} the score is {rest:.2f} instead of {cams.logits[0, label]:.2f}." in app.text.value
    )
    before = app.image.value
    app.bars.buttons[7].click()
    assert app.settings.unit == app.units[7] and f"unit {app.units[7]}:" in app.text.value and app.image.value != before
    for button in [w for w in everything(app) if isinstance(w, widgets.Button)]:
        if button.description in ("show the class's map", "switch all units on"):
            button.click()
    assert app.settings.off == () and app.settings.unit is None and not app.ticks[0].value and app.message.value == ""
    app.set(weights="softmax")
    assert "the identity is broken" in app.text.value


def test_a_clip_is_computed_once_and_shown_frame_by_frame(tmp_path):
    wrapped = Counted(tiny_network())
    clip = drawn_world.load("video", "test", n=1, size=64)
    film = cam_explorer.Film(room(1, wrapped), clip.images, folder=tmp_path)
    frames = len(clip)
    assert sum(wrapped.calls) == frames
    assert f">Frame 1 of {frames}: predicted " in film.text.value
    first = film.image.value
    for value in (frames, 1, 5):
        film.control["frame"].value = value
        assert f">Frame {value} of {frames}: predicted " in film.text.value and film.message.value == ""
    film.control["label"].value = "dog"
    assert "score of dog" in film.text.value and film.image.value != first
    path = film.export()
    with Image.open(path) as gif:
        assert gif.n_frames == frames and gif.size == film.draw()[0].size
    assert sum(wrapped.calls) == frames
    film.set(picture="frame 99")
    assert (
        "there is no picture called &#x27;frame 99&#x27;" in film.message.value and film.settings.picture == "frame 5"
    )


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
    widget = cam_explorer.Reader(source, indoor, probe, attributes)
    assert kind in widget.text.value and "Informative region of " in widget.text.value
    with pytest.raises(ValueError, match=r"each of 5 classes, got 2"):
        read_out(picture, [True, False], probe, attributes)


def test_colours_can_be_chosen_only_where_they_show(app):
    colours = next(w for w in everything(app) if getattr(w, "description", "") == "colours")
    for style in CHOICES["style"]:
        app.set(style=style)
        changed = render(app.settings, app.current()) != render(replace(app.settings, colours="viridis"), app.current())
        assert colours.disabled is not changed, style
