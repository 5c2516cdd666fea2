"""An HTTP server on this machine that behaves as badly as its paths say.

http_server.py [--unix PATH] [--tls CERTIFICATE KEY]
http_server.py --full           listens, and never takes a connection up

The first line of output is the port, or the socket's path. It ends by itself after three minutes.
"""

import argparse
import json
import os
import socket
import ssl
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

requests_seen = {}
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.requests = 0

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        self.requests += 1
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name, _, argument = (self.path.lstrip("/") or "inspect").partition("/")
        with lock:
            requests_seen[self.path] = requests_seen.get(self.path, 0) + 1
        getattr(self, "do_" + name.replace("-", "_"))(argument)

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def until_client_leaves(self):
        """Ends when the client closes its side, whatever it sends before."""
        try:
            while self.connection.recv(65536):
                pass
        except OSError:
            pass
        self.close_connection = True

    def do_echo(self, _):
        self.answer(200, self.body, [("X-Amzn-RequestId", " abc ")])

    def do_inspect(self, _):
        peer = self.client_address[1] if len(self.client_address) > 1 else id(self.connection)
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": [list(pair) for pair in self.headers.items()],
            "body": self.body.hex(),
            "peer": peer,
        }
        self.answer(200, json.dumps(seen).encode())

    def do_count(self, argument):
        with lock:
            self.answer(200, str(requests_seen.get("/" + argument, 0)).encode())

    def do_status(self, argument):
        self.answer(int(argument), b'{"__type":"X"}')

    def do_silent(self, _):
        self.until_client_leaves()

    def do_half(self, _):
        self.connection.shutdown(socket.SHUT_WR)
        self.until_client_leaves()

    def do_reset(self, _):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def do_cut(self, _):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"x" * 10)
        self.close_connection = True

    def do_drip(self, _):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.endless(b"x")

    def do_large(self, argument):
        self.answer(200, b"x" * int(argument))

    def do_chunks(self, _):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.endless(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    def do_headers(self, _):
        self.send_response(200)
        self.endless(b"X-More: and more\r\n")

    def endless(self, piece):
        """At most so much as fits into the buffers while nobody reads."""
        self.wfile.flush()
        pause = threading.Event()
        try:
            while True:
                self.connection.sendall(piece)
                if len(piece) == 1:
                    pause.wait(0.02)
        except OSError:
            self.close_connection = True

    def do_garbage(self, _):
        self.wfile.write(b"SSH-2.0-OpenSSH_9\r\n\r\n")
        self.close_connection = True

    def do_redirect(self, _):
        self.answer(302, b"", [("Location", "/echo")])

    def do_continued(self, _):
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n")
        self.answer(200, b"ok")

    def do_stale(self, _):
        """Answers the first request of a connection and closes it without a word at the second."""
        if self.requests == 1:
            self.answer(200, b"first")
        else:
            self.close_connection = True


class UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0

    def get_request(self):
        request, _ = self.socket.accept()
        return request, ("local",)


def full():
    """Fills its own queue of connections, so that the system leaves further ones unanswered."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    clients = []
    while True:
        client = socket.socket()
        client.settimeout(0.3)
        clients.append(client)
        try:
            client.connect(server.getsockname())
        except OSError:
            break
    print(server.getsockname()[1], flush=True)
    threading.Event().wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--unix")
    parser.add_argument("--tls", nargs=2)
    arguments = parser.parse_args()
    watchdog = threading.Timer(180, lambda: os._exit(1))
    watchdog.daemon = True
    watchdog.start()
    if arguments.full:
        full()
    if arguments.unix:
        Handler.disable_nagle_algorithm = False
        server = UnixServer(arguments.unix, Handler)
        print(arguments.unix, flush=True)
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print(server.server_address[1], flush=True)
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    server.serve_forever()


main()
