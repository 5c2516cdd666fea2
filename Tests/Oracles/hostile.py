"""Requests that no client makes, before keyfold-serve: every member of every operation with values
of other types and lengths, bodies that are no JSON, contexts, changed ciphertexts.

URL, access key and secret of an administrator, the same of another keystore, and a seed are
arguments. Each answer must be one of AWS's: JSON with a `__type` that the operation or the protocol
knows, status 200 or 4xx, within ten seconds. Prints a line for each part.
"""

import base64
import http.client
import json
import random
import sys
import time
import urllib.parse

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from served import ACCESS, SECRET, URL, connect

FOREIGN, SEED = sys.argv[4:7], int(sys.argv[7])
rng = random.Random(SEED)
model = botocore.session.get_session().get_service_model("kms")
host = urllib.parse.urlparse(URL).netloc
signer = SigV4Auth(Credentials(ACCESS, SECRET), "kms", "us-east-1")
COMMON = {"ValidationException", "SerializationException", "AccessDeniedException",
          "NotAuthorizedException"}
ERRORS = COMMON | {shape.name for shape in model.error_shapes}
VALUES_EACH = 20  # of a member, drawn from all that are below
SOON = time.time() + 86_400  # of times that must be within a year
line = None


def send(operation, body, target=None):
    """Status and body of an answer, on a connection that is kept."""
    global line
    request = AWSRequest(method="POST", url=URL + "/", data=body, headers={
        "X-Amz-Target": target or "TrentService." + operation,
        "Content-Type": "application/x-amz-json-1.1"})
    signer.add_auth(request)
    for _ in range(2):
        if line is None:
            line = http.client.HTTPConnection(host, timeout=10)
        try:
            line.request("POST", "/", body, dict(request.headers.items()))
            answer = line.getresponse()
            content = answer.read()
            if answer.will_close:
                line = None
            return answer.status, content
        except TimeoutError:
            raise
        except (http.client.HTTPException, OSError):
            line = None  # closed meanwhile: asked once more
    raise AssertionError(f"no answer to {operation} {body[:300]!r}")


def ask(operation, body, only=None):
    """Fails unless the answer is of AWS's shape; `only` is the one exception that is right."""
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    status, content = send(operation, body)
    told = (SEED, operation, body[:300], status, content[:300])
    answer = json.loads(content) if content else None
    if status == 200:
        assert only is None, told
        return answer
    assert 400 <= status < 500, told
    assert isinstance(answer, dict) and answer.get("__type") in ERRORS, told
    assert isinstance(answer.get("message", ""), str), told
    assert only is None or answer["__type"] == only, told
    return answer


# What a member may be: texts of JSON, and the kinds of values they are. None is no JSON at all.
LONG = json.dumps("a" * 70_000)
TEXTS = [
    ('""', "text"), ('"x"', "text"), (LONG, "text"), ('"é́"', "text"), ('"a\\u0000b"', "text"),
    ('"\\ud83d\\ude00"', "text"), ('"alias/"', "text"), ('"arn:aws:kms:::"', "text"),
    ('"../../etc/passwd"', "text"), ('"%s%n"', "text"), ('"=A=="', "text"), ('"QQ"', "text"),
    ('"QR=="', "text"), ('"Q Q="', "text"), ('"Q_-="', "text"), ('"QQ==QQ=="', "text"),
    ("null", "null"), ("true", "flag"), ("false", "flag"),
    ("0", "number"), ("-1", "number"), ("2147483648", "number"), ("1.5", "fraction"),
    ("-9223372036854775809", "fraction"), ("1" + "0" * 40, "fraction"), ("1e400", "fraction"),
    ("{}", "map"), ('{"a":{"b":[]}}', "map"), ('{"":""}', "map"), ('{"a":null}', "map"),
    ("[]", "list"), ("[null]", "list"), ("[[[[]]]]", "list"), ('["a","a"]', "list"),
    ("[" * 500 + "]" * 500, None), ("NaN", None), ("Infinity", None), ("-Infinity", None),
    ("01", None), ("+1", None), ("1.", None), (".5", None), ("'x'", None), ('"\t"', None),
    ('"\\ud800"', None), ('"\\x"', None), ('"open', None), ("", None), ("[1,]", None),
    ('{"a":1,}', None), ("tru", None), ("/**/1", None), ('"a" "b"', None),
]
TAKES = {
    "string": {"text"}, "blob": {"text"}, "boolean": {"flag"}, "integer": {"number"},
    "long": {"number"}, "list": {"list"}, "map": {"map"}, "structure": {"map"},
    "timestamp": {"number", "fraction", "text"}}


def sample(shape, name, key):
    """A value of good form, where the model alone tells enough."""
    given = {
        "KeyId": key, "TargetKeyId": key, "SourceKeyId": key, "DestinationKeyId": key,
        "AliasName": "alias/hostile", "PolicyName": "default", "KeySpec": None,
        "KeyPairSpec": "ECC_NIST_P256", "ReplicaRegion": "eu-west-1", "PrimaryRegion": "eu-west-1",
        "PendingWindowInDays": 30, "Policy": "{}", "NumberOfBytes": 16}
    if name in given and given[name] is not None:
        return given[name]
    minimum = shape.metadata.get("min", 1)
    kind = shape.type_name
    if kind == "string":
        return shape.enum[0] if shape.enum else "a" * max(minimum, 1)
    if kind == "blob":
        return base64.b64encode(b"x" * max(minimum, 1)).decode()
    if kind == "list":
        return [sample(shape.member, name, key)]
    if kind == "map":
        return {"a": "b"}
    if kind == "structure":
        return {member: sample(shape.members[member], member, key)
                for member in shape.required_members}
    return {"boolean": True, "timestamp": 2_000_000_000}.get(kind, max(minimum, 1))


def baseline(operation, key):
    shape = operation.input_shape
    members = {} if shape is None else sample(shape, "", key)
    return {name: json.dumps(value) for name, value in members.items()}


def written(members):
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members) + "}"


def members_of(shape, path=()):
    """All members, those of structures in it too, and the elements of lists."""
    for name, member in shape.members.items():
        below = path + (name,)
        yield below, member
        if member.type_name == "list":
            below, member = below + (0,), member.member
            yield below, member
        if member.type_name == "structure":
            yield from members_of(member, below)


def nested(path, text, key, shape):
    """The value of the outermost member, with `text` where the path leads."""
    if not path:
        return text
    step, rest = path[0], path[1:]
    if step == 0:
        return "[" + nested(rest, text, key, shape.member) + "]"
    others = {name: json.dumps(sample(shape.members[name], name, key))
              for name in shape.required_members if name != step}
    others[step] = nested(rest, text, key, shape.members[step])
    return written(others.items())


def every_member(key):
    count = 0
    for name in model.operation_names:
        operation = model.operation_model(name)
        usual = baseline(operation, key)
        ask(name, written(usual.items()))
        for path, member in members_of(operation.input_shape) if operation.input_shape else ():
            for text, kind in rng.sample(TEXTS, VALUES_EACH):
                members = dict(usual)
                outer = operation.input_shape.members[path[0]]
                members[path[0]] = nested(path[1:], text, key, outer)
                wrong = kind is None or kind not in TAKES[member.type_name] | {"null"}
                if text == "" and path[-1] == 0:
                    wrong = False  # no element at all
                body = written(rng.sample(list(members.items()), len(members)))
                ask(name, body, "SerializationException" if wrong else None)
                count += 1
            # The member twice, once as it should be.
            if len(path) == 1:
                twice = list(usual.items()) + [(path[0], "null"), (path[0], "null")]
                ask(name, written(twice), "SerializationException")
        ask(name, written([*usual.items(), ("Unknown", "[{}]")]))
    assert count > 1500, count
    print("members")


def whole_bodies(key):
    good = json.dumps({"KeyId": key, "EncryptionContext": {"a": "é"},
                       "Plaintext": base64.b64encode(b"plain").decode()}, ensure_ascii=False)
    good = good.encode()
    for name in model.operation_names:
        for body in (b"[]", b'"x"', b"1", b"\xff", b"{", b"{}{}", b"{} x", b"\xef\xbb\xbf{}",
                     b"\x00", "{}".encode("utf-16"), b'{"\xc3":1}'):
            ask(name, body, "SerializationException")
    for end in range(1, len(good)):
        ask("Encrypt", good[:end], "SerializationException")
    for _ in range(1500):
        body = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(body))
            rng.choice([
                lambda: body.__setitem__(place, rng.randrange(256)),
                lambda: body.insert(place, rng.randrange(256)),
                lambda: body.__delitem__(place)])()
        ask("Encrypt", bytes(body))
    status, content = send("Encrypt", b'{"KeyId":"' + b"a" * (1 << 20) + b'"}')
    assert status == 413 and json.loads(content)["__type"] == "RequestEntityTooLargeException"
    for target in ("TrentService.", "TrentService.Nothing", "TrentService.encrypt", "Encrypt",
                   "Other.Encrypt", "TrentService.Encrypt.Encrypt", "x" * 4000):
        status, content = send("", b"{}", target)
        assert (status, json.loads(content)["__type"]) == (400, "UnknownOperationException"), target
    print("bodies")


def contexts(key):
    plain = base64.b64encode(b"plain").decode()

    def encrypt(context, only=None):
        body = f'{{"KeyId":"{key}","Plaintext":"{plain}","EncryptionContext":{context}}}'
        return ask("Encrypt", body, only)

    wrong = ['{"a":"b","a":"b"}', '{"a":"b","a":"c"}', '{"\\u0061":"b","a":"c"}',
             '{"e\\u0301":"1","é":"2"}', '{"a":1}', '{"a":{}}', '{"a":["b"]}', '{"a":true}',
             '{1:"a"}', '{"a"}', '{"a":"\\ud800"}', '{"\\udc00":"a"}', '[["a","b"]]', '"a=b"']
    for context in wrong:
        encrypt(context, "SerializationException")
    for length in (0, 1, 4000, 8191, 8192, 20_000, 500_000):
        answer = encrypt(json.dumps({"a" * max(length // 2, 1): "b" * (length - length // 2)}))
        assert ("CiphertextBlob" in answer) == (length <= 8192), (length, answer)
    for context in ({}, {"é": "ü"}, {"\U0010ffff": "\u0000"}, {"a\u200bb": "\u202e"}, {"": ""},
                    {str(n): "" for n in range(300)}, {"A": "", "a": ""}, {"a": "e\u0301"}):
        for text in (json.dumps(context), json.dumps(context, ensure_ascii=False)):
            sealed = encrypt(text).get("CiphertextBlob")
            if not sealed:
                continue
            opened = ask("Decrypt", f'{{"CiphertextBlob":"{sealed}","EncryptionContext":{text}}}')
            assert opened["Plaintext"] == plain
            for other in ('{"z":"z"}', json.dumps({**context, "z": ""}),
                          json.dumps({k: v + "x" for k, v in context.items()} or {"b": ""})):
                ask("Decrypt", f'{{"CiphertextBlob":"{sealed}","EncryptionContext":{other}}}',
                    "InvalidCiphertextException")
    print("contexts")


def changed(blob):
    """Cut at every length, made longer, one bit changed in every byte."""
    for length in range(1, len(blob)):
        yield blob[:length]
    yield blob + b"\0"
    yield blob + blob
    yield blob + bytes(6000 - len(blob))
    for place in range(len(blob)):
        other = bytearray(blob)
        other[place] ^= 1 << rng.randrange(8)
        yield bytes(other)


def refusal(method, **arguments):
    try:
        answer = method(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert 400 <= status < 500, error
        return error.response["Error"]["Code"]
    raise AssertionError((arguments, answer))


def blobs(kms, key):
    blob = kms.encrypt(KeyId=key, Plaintext=b"p")["CiphertextBlob"]
    codes = set()
    for each in changed(blob):
        codes.add(refusal(kms.decrypt, CiphertextBlob=each))
        codes.add(refusal(kms.re_encrypt, CiphertextBlob=each, DestinationKeyId=key))
        code = refusal(kms.decrypt, CiphertextBlob=each, KeyId=key)
        assert code in ("InvalidCiphertextException", "IncorrectKeyException",
                        "ValidationException"), code
    assert codes <= {"InvalidCiphertextException", "AccessDeniedException",
                     "ValidationException"}, codes
    elsewhere = connect(url=FOREIGN[0], access=FOREIGN[1], secret=FOREIGN[2])
    foreign = elsewhere.create_key()["KeyMetadata"]["KeyId"]
    theirs = elsewhere.encrypt(KeyId=foreign, Plaintext=b"p")["CiphertextBlob"]
    assert refusal(kms.decrypt, CiphertextBlob=theirs) == "AccessDeniedException"
    assert refusal(kms.decrypt, CiphertextBlob=theirs, KeyId=key) == "IncorrectKeyException"
    # With the foreign body behind our own key's name, and the reverse.
    assert refusal(kms.decrypt, CiphertextBlob=blob[:18] + theirs[18:]) == (
        "InvalidCiphertextException")
    assert refusal(elsewhere.decrypt, CiphertextBlob=theirs[:18] + blob[18:]) == (
        "InvalidCiphertextException")
    print("ciphertexts")


def other_bytes(kms):
    """Signatures, codes, public keys and tokens that were changed or are another's."""
    signer = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    usual = {"KeyId": signer, "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = kms.sign(**usual)["Signature"]
    for each in changed(signature):
        assert refusal(kms.verify, Signature=each, **usual) in (
            "KMSInvalidSignatureException", "ValidationException")
    mac = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    usual = {"KeyId": mac, "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    code = kms.generate_mac(**usual)["Mac"]
    for each in changed(code):
        assert refusal(kms.verify_mac, Mac=each, **usual) in (
            "KMSInvalidMacException", "ValidationException")
    agreement = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]
    agreement = agreement["KeyId"]
    public = kms.get_public_key(KeyId=agreement)["PublicKey"]
    # A changed coordinate is a point off the curve, but for its sign in a compressed form.
    for each in changed(public):
        assert refusal(kms.derive_shared_secret, KeyId=agreement, KeyAgreementAlgorithm="ECDH",
                       PublicKey=each) == "ValidationException", each.hex()
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    given = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    for each in rng.sample(list(changed(given["ImportToken"])), 200):
        assert refusal(kms.import_key_material, KeyId=key, ImportToken=each,
                       EncryptedKeyMaterial=bytes(256), ValidTo=SOON) in (
            "InvalidImportTokenException", "ValidationException")
    for size in (1, 255, 256, 257, 6144):
        code = refusal(
            kms.import_key_material, KeyId=key, ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=rng.randbytes(size), ValidTo=SOON)
        assert code == "InvalidCiphertextException", (size, code)
    print("signatures, codes, keys and tokens")


kms = connect()
key, victim = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
every_member(victim)
whole_bodies(key)
contexts(key)
blobs(kms, key)
other_bytes(kms)
sealed = kms.encrypt(KeyId=key, Plaintext=b"still there")["CiphertextBlob"]
assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"still there"
