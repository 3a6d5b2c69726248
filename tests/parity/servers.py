"""Scenarios: the servers and clients of the standard library, each with the other.

Every server takes its time for each answer, so that its clients have to wait.
"""

import contextlib
import ftplib
import http.client
import http.server
import imaplib
import io
import logging
import logging.handlers
import os
import pickle
import poplib
import smtplib
import socket
import socketserver
import ssl
import struct
import tempfile
import threading
import time
import urllib.error
import urllib.request
import wsgiref.simple_server
import xmlrpc.client
import xmlrpc.server
from pathlib import Path

CERTIFICATES = Path(os.environ["COEV_TEST_CERTIFICATES"])
LOCALHOST = "127.0.0.1"
CLIENTS = 4
DELAY = 0.02

# Whoever connects to this machine shall not be asked to go by a proxy.
urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))


@contextlib.contextmanager
def _serving(server):
    """Serve in a thread; give the server, and at the end shut it down and join its threads."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _in_threads(function):
    """Return what *function* gives to each of several threads at the same time."""
    results = [None] * CLIENTS

    def run(number):
        results[number] = error_of(function, number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def _client_context():
    return ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")


def _server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    return context


# --- socketserver -----------------------------------------------------------------------


class _Upper(socketserver.StreamRequestHandler):
    def handle(self):
        for _ in range(2):  # not to the end: a forked server's other children would hold it up
            line = self.rfile.readline()
            time.sleep(DELAY)
            self.wfile.write(line.upper())


class _UpperDatagram(socketserver.DatagramRequestHandler):
    def handle(self):
        time.sleep(DELAY)
        self.wfile.write(self.rfile.read().upper())


def _talk(address, family=socket.AF_INET):
    def talk(number):
        with socket.socket(family) as sock:
            sock.settimeout(10)
            sock.connect(address)
            with sock.makefile("rw") as stream:
                for word in ("one", "two"):
                    print(word, number, file=stream, flush=True)
                    yield stream.readline().strip()

    return lambda number: list(talk(number))


def _ask(address, family=socket.AF_INET):
    def ask(number):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            sock.bind((LOCALHOST, 0))
            sock.sendto(b"datagram %d" % number, address)
            return sock.recv(100)

    return ask


def threading_servers_handle_each_connection_in_a_thread(say):
    with _serving(socketserver.ThreadingTCPServer((LOCALHOST, 0), _Upper)) as server:
        say(*_in_threads(_talk(server.server_address)))
    with _serving(socketserver.ThreadingUDPServer((LOCALHOST, 0), _UpperDatagram)) as server:
        say(*_in_threads(_ask(server.server_address)))
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/socket"
        with _serving(socketserver.ThreadingUnixStreamServer(path, _Upper)) as server:
            say(*_in_threads(_talk(path, socket.AF_UNIX)))


def forking_servers_handle_each_connection_in_a_process(say):
    with _serving(socketserver.ForkingTCPServer((LOCALHOST, 0), _Upper)) as server:
        say(*_in_threads(_talk(server.server_address)))
    with _serving(socketserver.ForkingUDPServer((LOCALHOST, 0), _UpperDatagram)) as server:
        say(*_in_threads(_ask(server.server_address)))


def a_simple_server_handles_one_after_the_other(say):
    with _serving(socketserver.TCPServer((LOCALHOST, 0), _Upper)) as server:
        say(*_in_threads(_talk(server.server_address)))
    with socketserver.TCPServer((LOCALHOST, 0), _Upper) as server:
        server.timeout = 0.05
        server.handle_timeout = lambda: say("nobody came")
        server.handle_request()


# --- HTTP -------------------------------------------------------------------------------


class _Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(DELAY)
        if self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"first ", b"second "):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                time.sleep(DELAY)
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/never":
            time.sleep(0.3)
            self.close_connection = True
        else:
            self._answer(404 if self.path == "/missing" else 200, self.path.encode())

    def do_POST(self):
        self._answer(200, b"%d bytes" % len(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def http_clients_keep_their_connections(say):
    with _serving(http.server.ThreadingHTTPServer((LOCALHOST, 0), _Pages)) as server:

        def fetch(number):
            connection = http.client.HTTPConnection(*server.server_address, timeout=10)
            bodies = []
            for path in (f"/{number}", "/chunks", "/missing"):
                connection.request("GET", path)
                response = connection.getresponse()
                bodies.append((response.status, response.read()))
            connection.request("POST", "/", b"x" * 300_000)
            bodies.append(connection.getresponse().read())
            connection.close()
            return bodies

        say(*_in_threads(fetch))


def urls_are_opened(say):
    with _serving(http.server.ThreadingHTTPServer((LOCALHOST, 0), _Pages)) as server:
        url = "http://{}:{}".format(*server.server_address)

        def fetch(number):
            with urllib.request.urlopen(f"{url}/{number}", timeout=10) as response:
                return response.read()

        say(*_in_threads(fetch))
        say(error_of(urllib.request.urlopen, url + "/missing"))
        say(error_of(urllib.request.urlopen, url + "/never", timeout=0.1))


def urls_are_opened_by_tls(say):
    class Server(http.server.ThreadingHTTPServer):
        def finish_request(self, request, address):
            with context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, address)

    context = _server_context()
    with _serving(Server((LOCALHOST, 0), _Pages)) as server:
        url = f"https://localhost:{server.server_port}"

        def fetch(number):
            with urllib.request.urlopen(
                f"{url}/{number}", timeout=10, context=_client_context()
            ) as response:
                return response.read()

        say(*_in_threads(fetch))


def files_are_served(say):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def log_message(self, *args):
            pass

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "file").write_bytes(b"x" * 1_000_000)
        with _serving(http.server.ThreadingHTTPServer((LOCALHOST, 0), Quiet)) as server:
            url = "http://{}:{}/file".format(*server.server_address)
            say(*_in_threads(lambda number: len(urllib.request.urlopen(url, timeout=10).read())))


def wsgi_applications_are_served(say):
    class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
        pass

    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *args):
            pass

    def application(environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
        time.sleep(DELAY)
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield environ["PATH_INFO"].encode()
        time.sleep(DELAY)
        yield body

    server = wsgiref.simple_server.make_server(LOCALHOST, 0, application, Server, Quiet)
    with _serving(server):
        url = f"http://{LOCALHOST}:{server.server_port}"

        def fetch(number):
            with urllib.request.urlopen(f"{url}/{number}", b" and a body", 10) as response:
                return response.read()

        say(*_in_threads(fetch))


def procedures_are_called_by_xml(say):
    class Server(socketserver.ThreadingMixIn, xmlrpc.server.SimpleXMLRPCServer):
        pass

    def slow(number):
        time.sleep(DELAY)
        return {"number": number, "items": [number] * 3}

    with _serving(Server((LOCALHOST, 0), logRequests=False)) as server:
        server.register_function(slow)
        server.register_function(lambda: 1 / 0, "fails")
        server.register_multicall_functions()
        url = "http://{}:{}".format(*server.server_address)

        def call(number):
            with xmlrpc.client.ServerProxy(url) as proxy:
                calls = xmlrpc.client.MultiCall(proxy)
                calls.slow(number + 10)
                return proxy.slow(number), list(calls())

        say(*_in_threads(call))
        with xmlrpc.client.ServerProxy(url) as proxy:
            say(error_of(proxy.fails))


# --- mail and files ---------------------------------------------------------------------


class _Lines(socketserver.BaseRequestHandler):
    """Answers lines, by the method that has the name of the command."""

    greeting = b""

    def handle(self):
        self.files(self.request)
        self.send(self.greeting)
        while line := self.stream.readline():
            time.sleep(DELAY)
            self.line = line.rstrip(b"\r\n").decode()
            command = self.line.split()[self.position].lower()
            if getattr(self, command, self.unknown)() is False:
                break
        self.stream.close()

    position = 0  # of the command in its line

    def files(self, sock):
        self.sock, self.stream = sock, sock.makefile("rb")

    def send(self, *lines):
        self.sock.sendall(b"".join(line + b"\r\n" for line in lines))

    def body(self):
        """Read lines up to one with nothing but a dot."""
        lines = iter(self.stream.readline, b".\r\n")
        return b"".join(lines)

    def start_tls(self):
        self.stream.close()
        self.files(_server_context().wrap_socket(self.sock, server_side=True))


class _Smtp(_Lines):
    greeting = b"220 localhost"

    def ehlo(self):
        self.send(b"250-localhost", b"250-AUTH PLAIN", b"250 STARTTLS")

    def auth(self):
        self.send(b"235 welcome")

    def mail(self):
        self.send(b"250 ok")

    def rcpt(self):
        self.send(b"550 who?" if "nobody" in self.line else b"250 ok")

    def data(self):
        self.send(b"354 go on")
        self.server.letters.append(self.body())
        self.send(b"250 taken")

    def starttls(self):
        self.send(b"220 go on")
        self.start_tls()

    def rset(self):
        self.send(b"250 ok")

    def quit(self):
        self.send(b"221 bye")
        return False

    def unknown(self):
        self.send(b"500 unknown")


def mail_is_sent(say):
    with _serving(socketserver.ThreadingTCPServer((LOCALHOST, 0), _Smtp)) as server:
        server.letters = []

        def send(number):
            with smtplib.SMTP("localhost", server.server_address[1], timeout=10) as client:
                if number % 2:
                    client.starttls(context=_client_context())
                client.login("me", "secret")
                refused = client.sendmail("me@x", ["you@x", "nobody@x"], f"letter {number}\n.\n")
                return refused, error_of(client.sendmail, "me@x", "nobody@x", "letter")

        say(*_in_threads(send))
        say(sorted(server.letters))


class _Pop3(_Lines):
    greeting = b"+OK welcome"

    def user(self):
        self.send(b"+OK")

    def pass_(self):
        self.send(b"+OK" if self.line.endswith("secret") else b"-ERR wrong")

    def stat(self):
        self.send(b"+OK 1 20")

    def retr(self):
        self.send(b"+OK", b"Subject: letter", b"")
        time.sleep(DELAY)
        self.send(b"..body", b".")

    def capa(self):
        self.send(b"+OK", b"STLS", b".")

    def stls(self):
        self.send(b"+OK")
        self.start_tls()

    def quit(self):
        self.send(b"+OK")
        return False

    def unknown(self):
        self.send(b"-ERR unknown")


setattr(_Pop3, "pass", _Pop3.pass_)


def mail_is_fetched(say):
    with _serving(socketserver.ThreadingTCPServer((LOCALHOST, 0), _Pop3)) as server:

        def fetch(number):
            client = poplib.POP3("localhost", server.server_address[1], timeout=10)
            if number % 2:
                client.stls(_client_context())
            client.user("me")
            wrong = error_of(client.pass_, "wrong")
            client.pass_("secret")
            try:
                return wrong, client.stat(), client.retr(1)
            finally:
                client.quit()

        say(*_in_threads(fetch))


class _Imap(_Lines):
    greeting = b"* OK welcome"
    position = 1

    def done(self, *lines):
        self.send(*lines, self.line.split()[0].encode() + b" OK done")

    def capability(self):
        self.done(b"* CAPABILITY IMAP4REV1 STARTTLS")

    def login(self):
        self.done()

    def starttls(self):
        self.done()
        self.start_tls()

    def select(self):
        self.done(b"* 1 EXISTS")

    def fetch(self):
        self.send(b"* 1 FETCH (RFC822 {6}")
        time.sleep(DELAY)
        self.done(b"letter)")

    def append(self):
        size = int(self.line[self.line.rindex("{") + 1 : -1])
        self.send(b"+ go on")
        self.server.letters.append(self.stream.read(size))
        self.stream.readline()
        self.done()

    def logout(self):
        self.done(b"* BYE")
        return False

    def unknown(self):
        self.send(self.line.split()[0].encode() + b" BAD unknown")


def mail_is_kept_on_the_server(say):
    with _serving(socketserver.ThreadingTCPServer((LOCALHOST, 0), _Imap)) as server:
        server.letters = []

        def look(number):
            client = imaplib.IMAP4("localhost", server.server_address[1], timeout=10)
            if number % 2:
                client.starttls(_client_context())
            client.login("me", "secret")
            selected = client.select()
            fetched = client.fetch("1", "(RFC822)")
            appended = client.append("inbox", None, None, b"letter %d" % number)[0]
            unknown = error_of(client.noop)
            client.logout()
            return selected, fetched, appended, unknown[unknown.rindex("BAD") :]

        say(*_in_threads(look))
        say(sorted(server.letters))


class _Ftp(_Lines):
    greeting = b"220 welcome"

    def user(self):
        self.send(b"331 and?")

    def pass_(self):
        self.send(b"230 welcome")

    def type(self):
        self.send(b"200 ok")

    def pasv(self):
        self.listener = socket.create_server((LOCALHOST, 0))
        port = self.listener.getsockname()[1]
        self.send(b"227 (127,0,0,1,%d,%d)" % divmod(port, 256))

    @contextlib.contextmanager
    def transfer(self):
        self.send(b"150 go on")
        with self.listener, self.listener.accept()[0] as data:
            time.sleep(DELAY)
            yield data
        self.send(b"226 done")

    def retr(self):
        with self.transfer() as data:
            for _ in range(3):
                data.sendall(b"x" * 50_000)
                time.sleep(DELAY)

    def stor(self):
        with self.transfer() as data, data.makefile("rb") as file:
            self.server.letters.append((self.line, len(file.read())))

    def nlst(self):
        with self.transfer() as data:
            data.sendall(b"one\r\ntwo\r\n")

    def quit(self):
        self.send(b"221 bye")
        return False

    def unknown(self):
        self.send(b"500 unknown")


setattr(_Ftp, "pass", _Ftp.pass_)


def files_are_transferred(say):
    with _serving(socketserver.ThreadingTCPServer((LOCALHOST, 0), _Ftp)) as server:
        server.letters = []

        def transfer(number):
            parts = []
            with ftplib.FTP(timeout=10) as client:
                client.connect(*server.server_address)
                client.login("me", "secret")
                client.retrbinary("RETR big", parts.append)
                client.storbinary(f"STOR {number}", io.BytesIO(b"y" * 100_000))
                return len(b"".join(parts)), client.nlst(), error_of(client.mkd, "folder")

        say(*_in_threads(transfer))
        say(sorted(server.letters))


# --- logging ----------------------------------------------------------------------------


def records_go_through_sockets(say):
    class Records(socketserver.StreamRequestHandler):
        def handle(self):
            while size := self.rfile.read(4):
                record = pickle.loads(self.rfile.read(*struct.unpack(">L", size)))
                taken.append(record["msg"])

    class Datagrams(socketserver.BaseRequestHandler):
        def handle(self):
            taken.append(self.request[0])

    taken = []
    logger = logging.Logger("of the scenario")
    with _serving(socketserver.ThreadingTCPServer((LOCALHOST, 0), Records)) as server:
        handler = logging.handlers.SocketHandler(*server.server_address)
        logger.addHandler(handler)
        _in_threads(lambda number: logger.warning("by TCP from %d", number))
        logger.removeHandler(handler)
        handler.close()
    with _serving(socketserver.UDPServer((LOCALHOST, 0), Datagrams)) as server:
        handler = logging.handlers.SysLogHandler(server.server_address)
        logger.addHandler(handler)
        _in_threads(lambda number: logger.warning("to syslog from %d", number))
        while len(taken) < 2 * CLIENTS:
            time.sleep(0.01)
        handler.close()
    say(sorted(taken, key=str))
