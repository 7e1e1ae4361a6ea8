"""The download of COCO from a server on this machine, which serves parts of files, refuses to, breaks off, or lies."""

import functools
import http.server
import json
import re
import threading
import zipfile

import pytest
from dataset_trees import coco_files, picture_bytes, put

import photo_sets

pytestmark = pytest.mark.filterwarnings("ignore:.*problem:UserWarning")
ARCHIVE = "annotations/annotations_trainval2017.zip"


class Server(http.server.SimpleHTTPRequestHandler):
    """Files with HTTP ranges. `server.tricks`: path → a function that may answer in its own way; true if it did."""

    def do_GET(self):
        path = self.path.lstrip("/")
        self.server.asked.append((path, self.headers.get("Range")))
        trick = self.server.tricks.get(path)
        if trick and trick(self):
            return
        try:
            content = (self.server.folder / path).read_bytes()
        except OSError:
            self.send_error(404)
            return
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if not wanted:
            self.answer(content)
            return
        first, last = wanted.groups()
        start = int(first) if first else max(0, len(content) - int(last))
        end = min(int(last) + 1 if first and last else len(content), len(content))
        self.answer(content[start:end], 206, f"bytes {start}-{end - 1}/{len(content)}")

    def answer(self, content, status=200, part=None, length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        if part:
            self.send_header("Content-Range", part)
        self.end_headers()
        self.wfile.write(content)
        self.server.sent += len(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The published layout, with an archive that also holds a large file that nobody asks for."""
    folder = tmp_path / "shop"
    names = ("instances", "captions")
    (folder / "annotations").mkdir(parents=True)
    with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("annotations/instances_train2017.json"), bytes(3_000_000))  # not compressed
        for name, content in zip(names, coco_files(), strict=True):
            archive.writestr(f"annotations/{name}_val2017.json", json.dumps(content))
    for k in (1, 2, 3):
        put(folder / "val2017" / f"{k:012d}.jpg", picture_bytes(seed=k))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(photo_sets.downloads, "PAUSE", 0)
    monkeypatch.setattr(photo_sets.downloads, "TIMEOUT", 2)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=folder)) as server:
        server.folder, server.tricks, server.asked, server.sent = folder, {}, [], 0
        monkeypatch.setattr(photo_sets.coco, "SERVER", f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def photo(k):
    return f"val2017/{k:012d}.jpg"


def paths_asked(server):
    return [path for path, _ in server.asked if path != ARCHIVE]


def times(count, trick):
    """A trick for the first `count` requests only."""
    left = [count]

    def answer(request):
        left[0] -= 1
        if left[0] < 0:
            return False
        trick(request)
        return True

    return answer


def break_off(request):
    """The connection ends in the middle of what was announced."""
    content = (request.server.folder / request.path.lstrip("/")).read_bytes()
    request.answer(content[: len(content) // 2], length=len(content))
    request.close_connection = True


def hang_up(request):
    request.close_connection = True


def cut_off(request):
    """A whole answer, by its length, that is half a photograph."""
    content = (request.server.folder / request.path.lstrip("/")).read_bytes()
    request.answer(content[: len(content) // 2])


def test_only_what_is_asked_for_is_fetched(shop, tmp_path):
    ds = photo_sets.open("coco", tmp_path / "root", download=True)
    assert len(ds) == 3 and not ds.problems and ds.captions[0]
    assert shop.sent < 300_000 < (shop.folder / ARCHIVE).stat().st_size  # a tenth of the archive
    assert sorted(paths_asked(shop)) == [photo(k) for k in (1, 2, 3)]
    assert not [path for path in (tmp_path / "root").rglob("*") if path.name.startswith(".")]
    shop.asked.clear()
    assert len(photo_sets.open("coco", tmp_path / "root", download=True)) == 3 and not shop.asked


@pytest.mark.parametrize(
    ("options", "chosen"), [({"words": "laptop"}, [1]), ({"licence": "free"}, [2, 3]), ({"n": 1}, None)]
)
def test_only_the_chosen_photographs_are_fetched(shop, tmp_path, options, chosen):
    ds = photo_sets.open("coco", tmp_path / "root", download=True, **options)
    fetched = sorted(path.name for path in (tmp_path / "root" / "val2017").iterdir())
    assert len(fetched) == len(ds) == len(chosen or [1]) and sorted(paths_asked(shop)) == [
        f"val2017/{n}" for n in fetched
    ]
    assert chosen is None or fetched == [f"{k:012d}.jpg" for k in chosen]


def test_a_server_that_refuses_parts_of_files(shop, tmp_path):
    shop.tricks[ARCHIVE] = times(99, lambda request: request.answer((request.server.folder / ARCHIVE).read_bytes()))
    with pytest.raises(
        photo_sets.MissingData, match=r"download failed.*range requests.*by hand: annotations_trainval2017"
    ):
        photo_sets.open("coco", tmp_path / "root", download=True)
    assert not list((tmp_path / "root").rglob("*.json*"))


@pytest.mark.parametrize("trick", [break_off, hang_up, cut_off])
def test_what_breaks_is_tried_again(shop, tmp_path, trick):
    shop.tricks = {photo(2): times(2, trick), ARCHIVE: times(1, hang_up)}
    ds = photo_sets.open("coco", tmp_path / "root", download=True)
    assert len(ds) == 3 and not ds.problems and paths_asked(shop).count(photo(2)) == 3


def test_an_archive_that_breaks_off_or_lies(shop, tmp_path):
    def part_cut_short(request):
        request.answer(b"PK" * 20, 206, "bytes 0-99999/100000", length=99_999)
        request.close_connection = True

    def wrong_part(request):
        request.answer(bytes(1000), 206, "bytes 5-1004/3000")

    def no_sense(request):
        request.answer(bytes(10), 206, "bytes of some sort")

    for trick in (part_cut_short, wrong_part, no_sense):
        shop.tricks[ARCHIVE] = times(99, trick)
        with pytest.raises(photo_sets.MissingData, match=r"download failed .*Try again, or get it by hand"):
            photo_sets.open("coco", tmp_path / "root", download=True)
        assert not [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    shop.tricks.clear()
    assert len(photo_sets.open("coco", tmp_path / "root", download=True)) == 3


def test_a_damaged_archive_is_noticed(shop, tmp_path):
    data = bytearray((shop.folder / ARCHIVE).read_bytes())
    with zipfile.ZipFile(shop.folder / ARCHIVE) as archive:
        start = archive.getinfo("annotations/captions_val2017.json").header_offset
    data[start + 80] ^= 255
    (shop.folder / ARCHIVE).write_bytes(data)
    with pytest.raises(photo_sets.MissingData, match="download failed"):
        photo_sets.open("coco", tmp_path / "root", download=True)
    assert [path.name for path in (tmp_path / "root" / "annotations").iterdir()] == ["instances_val2017.json"]


@pytest.mark.parametrize(
    ("trick", "reason"),
    [
        (lambda request: request.send_error(404), "404"),
        (lambda request: request.send_error(403), "403"),
        (cut_off, "damaged or cut off"),
        (break_off, "IncompleteRead"),
        (lambda request: request.answer(b"<html>log in first</html>"), "not a picture"),
        (lambda request: request.answer(b""), "empty"),
    ],
)
def test_a_photograph_that_does_not_come_is_listed_and_the_others_are_used(shop, tmp_path, trick, reason):
    shop.tricks[photo(2)] = times(99, trick)
    ds = photo_sets.open("coco", tmp_path / "root", download=True)
    assert len(ds) == 2 and len(ds) + len(ds.problems) == 3
    problem = ds.problems[0]
    assert problem.file == photo(2) and reason in problem.reason and problem.action == "picture left out"
    assert sorted(path.name for path in (tmp_path / "root" / "val2017").iterdir()) == [f"{k:012d}.jpg" for k in (1, 3)]


def test_an_interrupted_download_goes_on(shop, tmp_path, monkeypatch):
    """The server is gone after the first photograph: the data set has it, and the next call fetches the others."""
    monkeypatch.setattr(photo_sets.downloads, "thread_map", lambda f, records, **_: [f(record) for record in records])
    shop.tricks = {photo(k): times(99, hang_up) for k in (2, 3)}
    ds = photo_sets.open("coco", tmp_path / "root", download=True)
    assert len(ds) == 1 and [p.file for p in ds.problems] == [photo(2), photo(3)]
    assert "cannot be downloaded" in ds.problems[1].reason
    assert paths_asked(shop) == [photo(1)] + 3 * [photo(2)]  # what is gone is not asked for every photograph
    monkeypatch.setenv("CAM_OFFLINE", "1")
    ds = photo_sets.open("coco", tmp_path / "root", download=True)
    assert len(ds) == 1 and {p.reason for p in ds.problems} == {"cannot be downloaded (CAM_OFFLINE is set)"}
    monkeypatch.delenv("CAM_OFFLINE")
    shop.tricks.clear()
    shop.asked.clear()
    assert len(photo_sets.open("coco", tmp_path / "root", download=True)) == 3
    assert paths_asked(shop) == [photo(2), photo(3)]


def test_a_full_disk_leaves_no_half_photograph(shop, tmp_path, monkeypatch):
    photo_sets.open("coco", tmp_path / "root", download=True, n=1)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    ds = photo_sets.open("coco", tmp_path / "root", download=True)
    assert len(ds) == 1 and "No space left" in ds.problems[0].reason
    assert len(list((tmp_path / "root" / "val2017").iterdir())) == 1
