"""The set-up report: what is wrong is found, and what to do about it is said."""

import socket
import sys

import pytest
import torch
from conftest import ROOT

import drawn_world
from cam_helpers import devices, setup_check


@pytest.mark.parametrize(
    ("version", "fine"),
    [((3, 10, 14), False), ((2, 7, 18), False), ((3, 11, 0), True), ((3, 14, 1), True), ((4, 0, 0), True)],
)
def test_an_old_python_is_noticed(version, fine):
    finding = setup_check._python(version)
    assert finding.fine == fine and finding.found == ".".join(map(str, version))
    assert "Python 3.11 or newer" in finding.to_do


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    finding = setup_check._packages(["torch>=1", "no-such-package-cam>=1.2", "numpy"])
    assert not finding.fine and finding.found == "no-such-package-cam is missing"
    assert "make lab" in finding.to_do and "pip install 'no-such-package-cam>=1.2'" in finding.to_do


def test_an_old_package_is_named_with_the_version_it_should_have():
    finding = setup_check._packages(["torch>=99", "numpy>=1"])
    assert not finding.fine and finding.found == f"torch {torch.__version__.partition('+')[0]} is older than >=99"
    assert "'torch>=99'" in finding.to_do and "numpy" not in finding.to_do


def test_every_problem_is_listed_and_what_is_for_tests_or_other_systems_is_not():
    wanted = ["torch>=99", "no-such-package-cam", "numpy>=99; extra == 'test'", "numpy>=99; python_version < '3'"]
    finding = setup_check._packages(wanted)
    assert "torch" in finding.found and "no-such-package-cam is missing" in finding.found
    assert "numpy" not in finding.found + finding.to_do
    assert setup_check._packages(["torch"]).found == f"1 of 1, torch {torch.__version__}"


def test_a_package_that_is_not_installed_itself_says_so(monkeypatch):
    def unknown(name):
        raise setup_check.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(setup_check.metadata, "requires", unknown)
    finding = setup_check._packages()
    assert not finding.fine and "not installed" in finding.found and "pip install -e ." in finding.to_do


def test_the_cache_folder_is_the_one_asked_for_and_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("CAM_CACHE", str(tmp_path / "deep" / "cache"))
    folder = drawn_world.cache_folder()
    assert folder == tmp_path / "deep" / "cache"
    (finding,) = setup_check._results()
    assert finding.fine and "writable" in finding.found and folder.is_dir()
    assert list(folder.iterdir()) == []  # the attempt to write leaves nothing
    assert str(tmp_path) not in finding.found  # a saved notebook names nobody's home


@pytest.mark.parametrize("value", ["", None])
def test_the_cache_of_a_clone_lies_in_its_data_folder(monkeypatch, value):
    monkeypatch.delenv("CAM_CACHE", raising=False)
    if value is not None:
        monkeypatch.setenv("CAM_CACHE", value)
    assert drawn_world.cache_folder() == ROOT / "data" / "cache"


@pytest.mark.parametrize("inside", ["", "cache"])
def test_a_folder_that_cannot_be_written_is_noticed(monkeypatch, tmp_path, inside):
    in_its_place = tmp_path / "taken"
    in_its_place.write_text("a file")
    monkeypatch.setenv("CAM_CACHE", str(in_its_place / inside))
    report = setup_check.report()
    (problem,) = report.problems
    assert problem.what == "folder for results" and "CAM_CACHE" in problem.to_do
    assert "to do" in repr(report) and "CAM_CACHE" in repr(report)


def test_the_report_of_this_machine_has_no_problems(monkeypatch, tmp_path):
    monkeypatch.setenv("CAM_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a report needs no network"))
    report = setup_check.report()
    assert [finding.what for finding in report.findings] == [
        "Python",
        "packages",
        "device",
        "drawn world",
        "folder for results",
    ]
    assert report.problems == [] and repr(report).count("\n") == 4
    assert ".".join(map(str, sys.version_info[:3])) in repr(report)
    assert devices.pick().type in report.findings[2].found.lower() or devices.pick().type == "cuda"


def test_the_table_escapes_what_it_shows_and_has_headings():
    nasty = setup_check.Finding("<b>what</b>", "a & b <script>", False, "<img src=x>")
    html = setup_check.Report((nasty, setup_check.Finding("fine", "yes", True, "never shown as text")))._repr_html_()
    assert not any(tag in html for tag in ("<b>", "<script>", "<img"))
    assert "a &amp; b &lt;script&gt;" in html and html.count('scope="row"') == 2 and html.count('scope="col"') == 4
    assert "to do" in html and "ok" in html  # in words, not by colour alone


def test_what_is_fine_comes_without_advice():
    report = setup_check.Report((setup_check.Finding("fine", "yes", True, "do something"),))
    assert "do something" not in repr(report) and "do something" not in report._repr_html_()


def test_a_missing_data_folder_is_a_finding_with_advice(monkeypatch, tmp_path):
    monkeypatch.setenv("CAM_DATA", str(tmp_path / "empty"))
    monkeypatch.setenv("CAM_CACHE", str(tmp_path))
    (finding,) = setup_check.report().problems
    assert finding.what == "drawn world" and "CAM_DATA" in finding.to_do


def test_without_the_drawn_world_the_report_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "drawn_world", None)
    (finding,) = setup_check.report().problems
    assert finding.what == "drawn world" and "make lab" in finding.to_do
