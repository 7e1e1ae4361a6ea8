"""Pretrained weights: from the disk without a network, and no waiting for a host that is not there."""

import contextlib
import socket
import threading
import time

import pytest
import torch
from tiny_networks import pictures, weights_file
from torchvision import models

from cam_helpers import CamModel
from cam_helpers.networks import WeightsUnavailable, hosts, pretrained

NAME = "squeezenet1_1"  # the smallest file


@contextlib.contextmanager
def at_once(seconds=3.0):
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < seconds


@contextlib.contextmanager
def listening(backlog, visitors=0):
    """A port that takes connections as long as its queue has room, and never answers."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)
        for _ in range(visitors):
            visitor = stack.enter_context(socket.socket())
            visitor.setblocking(False)
            visitor.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def through(monkeypatch, address):
    """All downloads go by this address."""
    for variable in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(variable, address)


WORDS = f"^No pretrained weights for {NAME}: they are not on this machine, and their host does not answer.$"


@pytest.mark.parametrize(
    "address",
    [
        "http://no-such-host.invalid:3128",
        "no-such-host.invalid:3128",
        "http://192.0.2.1:81",
        "http://127.0.0.1:9",
        "http://127.0.0.1:port",
    ],
)
def test_an_address_that_leads_nowhere_is_given_up_at_once(empty_home, monkeypatch, address):
    through(monkeypatch, address)
    with at_once(), pytest.raises(WeightsUnavailable, match=WORDS):
        pretrained(NAME)


def test_a_host_that_takes_no_more_visitors_is_given_up_at_once(empty_home, monkeypatch):
    with listening(backlog=0, visitors=3) as port:
        through(monkeypatch, f"http://127.0.0.1:{port}")
        with at_once(), pytest.raises(WeightsUnavailable, match=WORDS):
            pretrained(NAME)


def test_a_host_that_takes_the_visit_and_says_nothing_is_given_up_at_once(empty_home, monkeypatch):
    default = socket.getdefaulttimeout()
    socket.setdefaulttimeout(6)  # so that a failure ends
    try:
        with listening(backlog=5) as port:
            through(monkeypatch, f"http://127.0.0.1:{port}")
            with at_once(), pytest.raises(WeightsUnavailable, match=f"No pretrained weights for {NAME}"):
                pretrained(NAME)
    finally:
        socket.setdefaulttimeout(default)


def test_patience_can_be_chosen(empty_home, monkeypatch):
    with listening(backlog=0, visitors=3) as port:
        through(monkeypatch, f"http://127.0.0.1:{port}")
        with at_once(0.8), pytest.raises(WeightsUnavailable):
            pretrained(NAME, patience=0.2)


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_offline_no_host_is_asked(empty_home, no_network, monkeypatch, value):
    monkeypatch.setenv("CAM_OFFLINE", value)
    with at_once(0.5), pytest.raises(WeightsUnavailable, match="not on this machine, and CAM_OFFLINE is set"):
        pretrained(NAME)
    assert issubclass(WeightsUnavailable, OSError)


@pytest.mark.parametrize("value", ["0", "false", ""])
def test_offline_may_be_switched_off(empty_home, monkeypatch, value):
    monkeypatch.setenv("CAM_OFFLINE", value)
    through(monkeypatch, "http://127.0.0.1:9")
    with at_once(), pytest.raises(WeightsUnavailable, match=WORDS):
        pretrained(NAME)


@contextlib.contextmanager
def proxy_that_says(words):
    """An address that answers every visit with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    visitor, _ = server.accept()
                    with visitor:
                        visitor.recv(1000)
                        visitor.sendall(words)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("words", [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"", b"220 mail.example ready\r\n"])
def test_a_proxy_that_refuses_leaves_one_line_for_the_reader(empty_home, monkeypatch, words):
    with proxy_that_says(words) as address:
        through(monkeypatch, address)
        with at_once(), pytest.raises(WeightsUnavailable, match=WORDS):
            pretrained(NAME)


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
def test_any_reply_of_the_host_is_an_answer(monkeypatch, status):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with proxy_that_says(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as address:
        assert hosts.answers(f"{address}/weights.pth", 5.0)


@pytest.mark.parametrize("name", [NAME, "mobilenet_v2"])
@pytest.mark.parametrize("which", ["default", "oldest"])
def test_weights_on_the_disk_are_loaded_without_a_network(empty_home, no_network, name, which):
    every = models.get_model_weights(name)
    weights = every.DEFAULT if which == "default" else next(iter(every))
    state = models.get_model(name).state_dict()
    torch.save(state, weights_file(empty_home, weights))
    network, found = pretrained(name)
    assert found is weights and not network.training
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


def test_the_default_weights_are_preferred_to_older_ones(empty_home, no_network):
    every = models.get_model_weights("mobilenet_v2")
    for found in every:
        torch.save(models.get_model("mobilenet_v2").state_dict(), weights_file(empty_home, found))
    assert pretrained("mobilenet_v2")[1] is every.DEFAULT


@pytest.mark.parametrize("damage", [b"", b"<html>504 Gateway Time-out</html>", "half", "another network", "a list"])
def test_a_damaged_file_is_named(empty_home, no_network, damage):
    file = weights_file(empty_home, models.get_model_weights(NAME).DEFAULT)
    if damage == "another network":
        torch.save(torch.nn.Linear(2, 2).state_dict(), file)
    elif damage == "a list":
        torch.save([1, 2], file)
    elif damage == "half":
        torch.save(models.get_model(NAME).state_dict(), file)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.write_bytes(damage)
    with pytest.raises(WeightsUnavailable, match=f"the file {file.name} is damaged: delete it"):
        pretrained(NAME)


def test_a_name_that_torchvision_does_not_know_is_refused(no_network):
    with pytest.raises(ValueError, match="resnet19"):
        pretrained("resnet19")


@pytest.mark.parametrize("name", [NAME, "mobilenet_v2"])
def test_real_weights_give_a_network_with_exact_maps(test_data, monkeypatch, no_network, name):
    monkeypatch.setenv("TORCH_HOME", str(test_data / "torch_home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    network, weights = pretrained(name)
    cams = CamModel(network)(pictures(2, 96))
    assert cams.logits.shape == (2, len(weights.meta["categories"])) and cams.identity_error() <= 1e-4
