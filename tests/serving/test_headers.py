NAMES = {
    "content-security-policy",
    "x-frame-options",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-resource-policy",
    "cache-control",
}


def test_every_answer_has_the_headers_once(client, app):
    def broken() -> None:
        raise RuntimeError

    app.add_api_route("/broken", broken)
    for path, status in (("/", 200), ("/nothing", 404), ("/broken", 500), ("/docs", 200)):
        answer = client.get(path)
        assert answer.status_code == status
        assert all(len(answer.headers.get_list(name)) == 1 for name in NAMES)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers
