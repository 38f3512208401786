"""A collector of traces for tests: OTLP/HTTP in JSON, spans by name, and whether each has its parent."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Collector:
    """`answers`: statuses of the first requests; after them everything is taken."""

    def __init__(self, answers=()):
        self.answers = list(answers)
        self.spans, self.resources, self.headers = [], [], []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = collector._received(self.path, self.headers, body)
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "1")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _received(self, path, headers, body):
        with self._lock:
            self.headers.append(dict(headers))
            if self.answers:
                status = self.answers.pop(0)
                if status != 200:
                    return status
            if path != "/v1/traces" or headers.get("Content-Type") != "application/json":
                return 400
            for resource in json.loads(body)["resourceSpans"]:
                self.resources.append(attributes(resource["resource"]))
                for scope in resource["scopeSpans"]:
                    self.spans += scope["spans"]
            return 200

    def named(self, name):
        with self._lock:
            return [span for span in self.spans if span["name"] == name]

    def check(self, outside):
        """Every parent and every linked span has arrived, or is one of the clients' own."""
        with self._lock:
            known = {(span["traceId"], span["spanId"]) for span in self.spans}
            assert len(known) == len(self.spans), "a span came twice"
            for span in self.spans:
                parent = span.get("parentSpanId")
                assert parent is None or parent in outside or (span["traceId"], parent) in known, \
                    f"{span['name']} has lost its parent {parent}"
                for link in span["links"]:
                    assert (link["traceId"], link["spanId"]) in known, f"{span['name']} links to nothing"
                assert int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"])

    def path(self, span, outside):
        """Names from a span to where its trace begins."""
        parent = span.get("parentSpanId")
        if parent is None:
            return [span["name"]]
        if parent in outside:
            return [span["name"], "client"]
        with self._lock:
            found = next((one for one in self.spans if one["spanId"] == parent), None)
        return [span["name"], "?"] if found is None else [span["name"], *self.path(found, outside)]


def attributes(holder):
    return {one["key"]: next(iter(one["value"].values())) for one in holder["attributes"]}
