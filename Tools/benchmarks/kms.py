"""The key service beside moto's: requests a second and latencies, in process and over HTTP."""

import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

from .common import BINARIES, REPOSITORY, run

MOTO = "5.2.5"
REGION = "us-east-1"
CONTEXT = {"keyfold:vault": "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "keyfold:domain": "d1",
           "keyfold:file": "8f14e45fceea167a5a36dedd4bea2543"}

# wrk sends the same requests over and over, each connection one at a time, and keeps the
# connections. A signature is good for five minutes, and so for one turn.
SCRIPT = """
local requests, next = {}, 0
function init()
  for number, head in ipairs(heads) do
    requests[number] = wrk.format("POST", "/", head, body)
  end
end
function request()
  next = next %% #requests + 1
  return requests[next]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests":%%d,"microseconds":%%d,"refused":%%d,"broken":%%d,'
    .. '"p50":%%.0f,"p99":%%.0f}\\n', summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
heads = {%s}
body = %s
"""


class Credentials:
    def __init__(self, access_key, secret):
        self.access_key, self.secret = access_key, secret


def sign(credentials, host, target, body):
    """The headers of a request, Signature Version 4 included."""
    now = datetime.datetime.now(datetime.timezone.utc)
    date, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {"Content-Type": "application/x-amz-json-1.1", "Host": host, "X-Amz-Date": date,
               "X-Amz-Target": "TrentService." + target}
    names = ";".join(sorted(name.lower() for name in headers))
    lines = "".join(f"{name.lower()}:{headers[name]}\n" for name in sorted(headers, key=str.lower))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/{REGION}/kms/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + credentials.secret).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}")
    return headers


class Server:
    """A server that answers for AWS KMS on a port of this machine, with one key."""

    def __init__(self, place):
        self.place = place
        self.process = None
        self.owner = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY0")
        self.host = None

    def start(self):
        raise NotImplementedError

    def stop(self):
        if not self.process:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def spawn(self, words, environment, pattern):
        """Begins the server and waits for the port that it tells on standard error."""
        path = os.path.join(self.place, self.name + ".log")
        with open(path, "w") as log:
            self.process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        for _ in range(600):
            with open(path) as log:
                text = log.read()
            if found := re.search(pattern, text):
                self.host = "127.0.0.1:" + found.group(1)
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit(f"bench: {self.name} did not begin:\n{text}")

    def ask(self, target, document, credentials=None):
        body = json.dumps(document).encode()
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request(
            "POST", "/", body, sign(credentials or self.owner, self.host, target, body))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            sys.exit(f"bench: {self.name} answers {target} with {answer.status}: {text.decode()}")
        return json.loads(text)

    def prepare(self):
        """One key, one data key under it, and the requests that are measured."""
        key = self.ask("CreateKey", {})["KeyMetadata"]["Arn"]
        made = self.ask("GenerateDataKey", {
            "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": CONTEXT})
        decrypt = {"CiphertextBlob": made["CiphertextBlob"], "EncryptionContext": CONTEXT}
        if self.ask("Decrypt", decrypt)["Plaintext"] != made["Plaintext"]:
            sys.exit(f"bench: {self.name} decrypts to something else")
        self.key = key
        self.requests = {
            "Decrypt": decrypt,
            "GenerateDataKey": {
                "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": CONTEXT},
        }

    def load(self, target, connections, seconds, principals=None):
        """One turn of wrk."""
        body = json.dumps(self.requests[target]).encode()
        heads = []
        for who in principals or [self.owner]:
            headers = sign(who, self.host, target, body)
            heads.append("{" + ",".join(
                f"[{json.dumps(name)}]={json.dumps(value)}" for name, value in headers.items())
                + "}")
        script = os.path.join(self.place, self.name + ".lua")
        with open(script, "w") as file:
            file.write(SCRIPT % (",".join(heads), json.dumps(body.decode())))
        output = subprocess.run(
            ["wrk", "--threads", "1", "--connections", str(connections), "--duration",
             f"{seconds}s", "--timeout", "30s", "--latency", "--script", script,
             f"http://{self.host}/"], check=True, capture_output=True, text=True).stdout
        found = re.search(r"^RESULT (.*)$", output, re.MULTILINE)
        if not found:
            sys.exit(f"bench: wrk says:\n{output}")
        result = json.loads(found.group(1))
        failed = result["refused"] + result["broken"]
        return {"requests/s": (result["requests"] - result["refused"]) * 1e6
                / result["microseconds"], "p50, ms": result["p50"] / 1000,
                "p99, ms": result["p99"] / 1000, "failed": failed}


class Keyfold(Server):
    name = "keyfold"
    PRINCIPALS = 16

    def keyfold(self, *words):
        return subprocess.run([os.path.join(BINARIES, "keyfold"), *words], env=self.environment,
                              check=True, capture_output=True, text=True).stdout

    def start(self):
        secret = os.path.join(self.place, "passphrase")
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write("a passphrase for measurements only\n")
        self.environment = dict(os.environ, KEYFOLD_PASSPHRASE_FILE=secret,
                                KEYFOLD_KEYSTORE=os.path.join(self.place, "keystore"))
        self.keyfold("init", "--quiet", os.path.join(self.place, "vault"))
        self.owner, _ = self.principal("bench", "--administrator")
        self.spawn(
            [os.path.join(BINARIES, "keyfold"), "serve", "--listen", "127.0.0.1:0"],
            self.environment, r"127\.0\.0\.1:([1-9]\d*)")

    def principal(self, name, *options):
        document = json.loads(self.keyfold("principal", "create", name, "--json", *options))
        credentials = Credentials(document["accessKeyId"], document["secretAccessKey"])
        return credentials, document["arn"]

    def prepare(self):
        super().prepare()
        self.others = []
        for number in range(self.PRINCIPALS):
            credentials, arn = self.principal(f"user-{number}")
            self.ask("CreateGrant", {"KeyId": self.key, "GranteePrincipal": arn,
                                     "Operations": ["Decrypt"]})
            self.others.append(credentials)


class Moto(Server):
    name = "moto"
    HOME = os.path.join(REPOSITORY, ".build", "moto-" + MOTO)

    @classmethod
    def is_there(cls, install):
        server = os.path.join(cls.HOME, "bin", "moto_server")
        if not os.path.exists(server) and install:
            print(f"Installing moto {MOTO} with pip, into {cls.HOME}", file=sys.stderr)
            run(sys.executable, "-m", "venv", cls.HOME)
            run(os.path.join(cls.HOME, "bin", "pip"), "install", "-q",
                "--disable-pip-version-check", f"moto[server]=={MOTO}")
        return os.path.exists(server)

    def start(self):
        self.spawn([os.path.join(self.HOME, "bin", "moto_server"), "--port", "0"], dict(os.environ),
                   r"http://127\.0\.0\.1:([1-9]\d*)")


class Comparison:
    CONNECTIONS = (1, 4, 16, 64)

    def __init__(self, place, seconds, rounds, servers):
        self.place, self.seconds, self.rounds = place, seconds, rounds
        self.servers = []
        for kind in servers:
            own = os.path.join(place, kind.name)
            os.mkdir(own)
            self.servers.append(kind(own))
        self.samples = {}

    def note(self, row, name, result):
        for what, value in result.items():
            self.samples.setdefault(row, {}).setdefault(name, {}).setdefault(what, []).append(value)

    def run(self):
        try:
            for server in self.servers:
                server.start()
                server.prepare()
            for number in range(self.rounds):
                self.round(number)
        finally:
            for server in self.servers:
                server.stop()
        return self.samples

    def round(self, number):
        for row, result in in_process(self.seconds).items():
            self.note(f"{row}, in process", "keyfold", result)
        first = number % len(self.servers)
        for target in ("Decrypt", "GenerateDataKey"):
            for connections in self.CONNECTIONS:
                # Each round begins with another one.
                for server in self.servers[first:] + self.servers[:first]:
                    row = f"{target}, {connections} connection{'s'[:connections - 1]}"
                    self.note(row, server.name, server.load(target, connections, self.seconds))
        for server in self.servers:
            if principals := getattr(server, "others", None):
                self.note(f"Decrypt, 16 connections, {len(principals)} principals by grants",
                          server.name, server.load("Decrypt", 16, self.seconds, principals))
        print(f"round {number + 1} done", file=sys.stderr)


def in_process(seconds):
    """What the core does on one thread: authorization, cryptography and the event."""
    output = subprocess.run([os.path.join(BINARIES, "KMSBench"), "json", str(seconds)], check=True,
                            capture_output=True, text=True).stdout
    return {row["name"]: {"requests/s": row["perSecond"], "p50, ms": row["p50Microseconds"] / 1000,
                          "p99, ms": row["p99Microseconds"] / 1000, "failed": 0}
            for row in json.loads(output)}


def report(samples, rounds):
    names = ["keyfold", "moto"]
    print(f"{'median of ' + str(rounds):50}" + "".join(
        f"{name + ' ' + what:>20}" for name in names for what in ("requests/s", "p50, ms", "p99, ms"))
        + f"{'keyfold/moto':>14}")
    for row, servers in samples.items():
        line = f"{row:50}"
        for name in names:
            for what, form in (("requests/s", ",.0f"), ("p50, ms", ",.3f"), ("p99, ms", ",.3f")):
                value = statistics.median(servers[name][what]) if name in servers else None
                line += f"{'' if value is None else format(value, form):>20}"
        if "moto" in servers:
            rates = [statistics.median(servers[name]["requests/s"]) for name in names]
            line += f"{rates[0] / rates[1]:14.1f}"
        print(line)
        for name in servers:
            if failed := sum(servers[name]["failed"]):
                print(f"  {name}: {failed:,} requests failed")


def missing(install):
    """Installs what may be; ends where a program is missing."""
    for program in ("keyfold", "keyfold-serve", "KMSBench"):
        if not os.access(os.path.join(BINARIES, program), os.X_OK):
            sys.exit(f"bench: {BINARIES}/{program} is missing: "
                     f"swift build -c release --product {program}")
    if not shutil.which("wrk") and install:
        run(*([] if os.geteuid() == 0 else ["sudo"]), "apt-get", "install", "-y", "-q", "wrk")
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing (--install installs it)")
    if Moto.is_there(install):
        return [Keyfold, Moto]
    print("moto is not installed, so it is left out (--install installs it)", file=sys.stderr)
    return [Keyfold]
