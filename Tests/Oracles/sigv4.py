"""botocore's Signature Version 4, for tests that compare it with ours.

sigv4.py sign SEED COUNT    prints requests that botocore signed, one JSON object a line
sigv4.py check              reads such lines and prints the signature that each ought to have
"""

import datetime
import json
import random
import sys
from urllib.parse import quote

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def word(rng, least, most, letters=LETTERS):
    return "".join(rng.choice(letters) for _ in range(rng.randint(least, most)))


def value(rng):
    """A header's value, with spaces wherever they make a difference."""
    return word(rng, 0, 40, LETTERS + "  \t,;=\"'/:")


def random_path(rng):
    pieces = ["", "", "a", "B9", ".", "..", "~x", "%41%2f", "-_.", "a+b", "a=b:c@d"]
    return "/" + "/".join(rng.choice(pieces) for _ in range(rng.randint(0, 5)))


def random_query(rng):
    letters = LETTERS + "-_.~ /+&=%é"
    pairs = (
        quote(word(rng, 1, 5, letters), safe="-_.~") + "=" + quote(word(rng, 0, 5, letters), safe="-_.~")
        for _ in range(rng.choice([0, 0, 1, 2, 5]))
    )
    return "&".join(pairs)


def random_request(rng):
    headers = [("Host", word(rng, 3, 12) + rng.choice(["", ":8080"]))]
    headers.append(("X-Amz-Target", "TrentService." + word(rng, 4, 20)))
    headers.append(("Content-Type", "application/x-amz-json-1.1"))
    headers.append(("User-Agent", value(rng)))
    for _ in range(rng.randint(0, 6)):
        name = rng.choice(["X-Amz-", "My-", "a", "Z_", "amz-sdk-"]) + word(rng, 1, 8)
        headers.append((name, value(rng)))
    if rng.random() < 0.3:
        headers.append((headers[-1][0], value(rng)))
    rng.shuffle(headers)
    return {
        "method": rng.choice(["POST", "POST", "GET", "PUT"]),
        "path": random_path(rng),
        "query": random_query(rng),
        "headers": headers,
        "body": rng.randbytes(rng.choice([0, 1, 100, 5000])).hex(),
        "access": word(rng, 16, 20).upper(),
        "secret": word(rng, 40, 40, LETTERS + "+/"),
        "token": word(rng, 20, 300, LETTERS + "+/=") if rng.random() < 0.5 else None,
        "region": rng.choice(["us-east-1", "eu-central-1", "ap-southeast-2", "local"]),
        "time": rng.randint(1_000_000_000, 4_000_000_000),
    }


def aws_request(request, headers):
    url = "http://example.com" + request["path"]
    if request["query"]:
        url += "?" + request["query"]
    made = AWSRequest(method=request["method"], url=url, data=bytes.fromhex(request["body"]))
    for name, text in headers:
        made.headers.add_header(name, text)
    return made


def signer(request):
    credentials = Credentials(request["access"], request["secret"], request.get("token"))
    return botocore.auth.SigV4Auth(credentials, "kms", request["region"])


def sign(seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        request = random_request(rng)
        now = datetime.datetime.fromtimestamp(request["time"], datetime.timezone.utc)
        botocore.auth.get_current_datetime = lambda now=now: now
        made = aws_request(request, request["headers"])
        signer(request).add_auth(made)
        request["headers"] = [[name, text] for name, text in made.headers.items()]
        print(json.dumps(request))


def check():
    for line in sys.stdin:
        request = json.loads(line)
        headers = [pair for pair in request["headers"] if pair[0].lower() != "authorization"]
        made = aws_request(request, headers)
        made.context["timestamp"] = made.headers["X-Amz-Date"]
        auth = signer(request)
        text = auth.string_to_sign(made, auth.canonical_request(made))
        names = auth.signed_headers(auth.headers_to_sign(made))
        print(names + " " + auth.signature(text, made))


if sys.argv[1] == "sign":
    sign(int(sys.argv[2]), int(sys.argv[3]))
else:
    check()
