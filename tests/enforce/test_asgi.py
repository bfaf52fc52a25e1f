from gateway.enforce.asgi import App
from gateway.enforce.reverse_proxy import ReverseProxy


def test_the_proxy_is_an_asgi_app() -> None:
    app: App = ReverseProxy("http://127.0.0.1:1")
    assert callable(app)
