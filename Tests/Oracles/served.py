"""What the scripts that ask keyfold-serve have in common."""

import subprocess
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL, ACCESS, SECRET = sys.argv[1:4]


def connect(region="us-east-1", url=URL, access=ACCESS, secret=SECRET, **more):
    return boto3.client(
        "kms", region_name=region, endpoint_url=url, aws_access_key_id=access,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, read_timeout=30, **more))


def openssl(*words, given=None):
    """What the command prints; its refusal is an error."""
    done = subprocess.run(["openssl", *words], input=given, capture_output=True, timeout=60)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def refused(code, ask, **arguments):
    """Asks for what must be answered with this exception."""
    try:
        ask(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"no {code}")


def put(name, content):
    with open(name, "wb") as file:
        file.write(content)
    return name


def get(name):
    with open(name, "rb") as file:
        return file.read()
