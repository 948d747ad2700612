"""No answer refers a browser or a client to another host; the page at `/` shows the model that is served."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Iterator

import httpx
import pytest

from tidemill.runtime.model.signature import Feature
from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, pods, publisher, signature, until

MIXED = signature(
    features=(
        Feature(name="size <b>", type="Numerical", minimum=1.0, maximum=3.0),
        Feature(name="city's", type="Categorical", categories=("Bonn & Ulm", "Ulm")),
    ),
    classes=("no", "yes"),
)
URL = re.compile(r"(?:https?:)?//([^/\s\"'<>\\)]+)")
"""A URL with a host, with a scheme or without."""
PAGES = (
    "/", "/docs", "/docs.json", "/schema.json", "/static_content/index.css", "/static_content/swagger-ui.css", "/favicon.ico",
    "/v2", "/v2/openapi.json", "/v2/health/live", "/v2/health/ready", "/livez", "/healthz", "/readyz", "/metrics",
    "/v2/models/house", "/v2/models/house/ready", "/v2/models/house/infer", "/v2/models/another", "/v2/models/house/versions/house-1",
    "/tidemill/v1/state", "/tidemill/v1/measurements", "/predict", "/nothing", "/index.html",
)  # fmt: skip


@pytest.fixture(scope="module", params=["yes", "no"], ids=["BentoML", "no BentoML"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder = tmp_path_factory.mktemp("pages")
    store = ObjectStore.open(f"file://{folder}/store")
    with pods(folder, store) as prepare:
        server = prepare(
            publisher(store)("house-1", model_signature=MIXED), environment={"TIDEMILL_BENTOML": request.param}
        )
        server.ready()
        if request.param == "yes":
            until(lambda: server.state()["bentoml"], "BentoML is loaded")
        yield server


def hosts_in(response: httpx.Response) -> set[str]:
    library = set(URL.findall(response.text))
    return library | set(URL.findall(" ".join(f"{name}: {value}" for name, value in response.headers.items())))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", PAGES)
def test_no_answer_names_another_host(server: Pod, path: str, method: str) -> None:
    response = server.client.request(method, path, headers={"accept": "text/html,*/*"})

    assert not response.is_redirect
    assert hosts_in(response) <= {f"127.0.0.1:{server.port}"}
    assert "gtag" not in response.text
    assert "googletagmanager" not in response.text


@pytest.mark.slow
def test_the_page_shows_a_request_that_works(server: Pod) -> None:
    response = server.client.get("/")

    assert (200, "text/html; charset=utf-8") == (response.status_code, response.headers["content-type"])
    assert "Model house, version house-1" in response.text
    assert "<b>" not in response.text.replace("size &lt;b&gt;", "")
    match = re.search(r"<pre><code>(.*?)</code></pre>", response.text)
    assert match is not None
    curl, flag, body, url = shlex.split(html.unescape(match[1]))
    assert ("curl", "-d", f"{server.url}/v2/models/house/predict") == (curl, flag, url)
    assert {"rows": [{"size <b>": 2.0, "city's": "Bonn & Ulm"}]} == json.loads(body)
    answer = server.client.post(url, content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert 200 == answer.status_code


@pytest.mark.slow
def test_every_link_of_the_page_leads_to_an_answer(server: Pod) -> None:
    links = re.findall(r'href="([^"]+)"', server.client.get("/").text)

    assert {"/v2/openapi.json", "/v2/health/ready", "/metrics", "/v2/models/house"} <= set(links)
    assert [200] * len(links) == [server.client.get(link).status_code for link in links]


@pytest.mark.slow
def test_the_interface_document_is_ours(server: Pod) -> None:
    document = server.client.get("/docs.json").json()

    assert document == server.client.get("/v2/openapi.json").json()
    assert "/v2/models/house/infer" in document["paths"]
