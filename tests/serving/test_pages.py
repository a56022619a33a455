import re


def test_page_and_all_it_names_come_from_the_service(client):
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) == 4
    types = {".js": "javascript", ".css": "text/css", ".png": "image/png"}
    for path in named:
        answer = client.get(f"/{path}")
        assert answer.status_code == 200, path
        (kind,) = (kind for ending, kind in types.items() if path.endswith(ending))
        assert kind in answer.headers["content-type"]
        assert len(answer.content) > 100


def test_page_names_no_other_host_and_runs_nothing_inline(client):
    page, script = client.get("/docs").text, client.get("/docs/start.js").text
    assert not re.search(r"//", page + script)
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == ["", ""]
    assert "style=" not in page
    assert "validatorUrl: null" in script
    (description,) = re.findall(r'url: "([^"]+)"', script)
    assert client.get(f"/{description}").json()["info"]["title"] == "tomodistill"
    assert client.get("/redoc").status_code == 404


def test_nothing_else_is_served_from_the_disk(client):
    for path in ("..%2f__init__.py", "../__init__.py", "%2e%2e/core.py", "nothing.js", ""):
        answer = client.get(f"/docs/files/{path}")
        assert answer.status_code == 404
        assert set(answer.json()) == {"error"}
