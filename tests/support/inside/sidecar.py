"""Runs in a pod: sends what the logger in a KServe predictor's pod sends, and calls a monitor's External check.

POST / with JSON {"url", "service", "requests": [[row, …], …], "signal": {…}, "token"} answers with the status of each call.
"""

import json
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 9300


def post(url: str, body: object, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return 0


def play(order: dict) -> list[int]:
    """Each request with its response, then the signal."""
    codes = []
    for number, rows in enumerate(order["requests"]):
        halves = {"request": {"instances": rows}, "response": {"predictions": [0] * len(rows)}}
        for half, body in halves.items():
            headers = {
                "ce-specversion": "1.0",
                "ce-id": f"{order.get('name', 'r')}-{number}",
                "ce-type": f"org.kubeflow.serving.inference.{half}",
                "ce-source": "http://localhost:9081/",
                "ce-inferenceservicename": order["service"],
                "content-type": "application/json",
            }
            codes.append(post(order["url"], body, headers))
    if "signal" in order:
        bearer = {"authorization": f"Bearer {order['token']}", "content-type": "application/json"}
        codes.append(post(f"{order['url']}signals/outside", order["signal"], bearer))
    return codes


class Desk(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        content = json.dumps(play(order)).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", PORT), Desk).serve_forever()
