"""botocore's AWS JSON 1.1, for tests that compare it with ours.

awsjson.py requests SEED COUNT   prints requests that botocore wrote: its members drawn from a seed
awsjson.py answers               reads answers and what they ought to mean, and prints where
                                 botocore reads something else
awsjson.py names                 prints the operations that botocore knows
awsjson.py errors                reads errors and prints what botocore makes of them
"""

import base64
import datetime
import json
import random
import sys

import botocore.parsers
import botocore.serialize
import botocore.session

MODEL = botocore.session.get_session().get_service_model("kms")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
PIECES = ["a", "Z", "0", " ", "/", '"', "\\", "\n", "\t", "\x00", "\x1f", "ä", "€", "\u2028", "😀"]


def text(rng):
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, 12)))


def drawn(rng, shape):
    """A value for botocore, and the same as plain JSON: blobs in base 64, times in milliseconds."""
    if shape.type_name == "structure":
        chosen = [n for n in shape.members if rng.random() < 0.8]
        pairs = {name: drawn(rng, shape.members[name]) for name in chosen}
        return {n: p[0] for n, p in pairs.items()}, {n: p[1] for n, p in pairs.items()}
    if shape.type_name == "list":
        values = [drawn(rng, shape.member) for _ in range(rng.randint(0, 3))]
        return [v[0] for v in values], [v[1] for v in values]
    if shape.type_name == "map":
        pairs = {str(i) + text(rng): text(rng) for i in range(rng.randint(0, 4))}
        return pairs, pairs
    if shape.type_name == "blob":
        value = rng.randbytes(rng.randint(0, 60))
        return value, base64.b64encode(value).decode()
    if shape.type_name == "timestamp":
        seconds = rng.randint(0, 4_000_000_000)
        return EPOCH + datetime.timedelta(seconds=seconds), seconds * 1000
    if shape.type_name == "boolean":
        value = rng.random() < 0.5
        return value, value
    if shape.type_name in ("integer", "long"):
        value = rng.randint(-5, 5000)
        return value, value
    value = rng.choice(shape.enum) if shape.enum else text(rng)
    if shape.name in SECRET_TEXTS:
        return value, base64.b64encode(value.encode()).decode()
    return value, value


SECRET_TEXTS = {
    "KeyStorePasswordType",
    "XksProxyAuthenticationAccessKeyIdType",
    "XksProxyAuthenticationRawSecretAccessKeyType",
}


def requests(seed, count):
    rng = random.Random(seed)
    serializer = botocore.serialize.create_serializer("json", include_validation=False)
    for name in MODEL.operation_names:
        operation = MODEL.operation_model(name)
        for _ in range(count):
            value, plain = drawn(rng, operation.input_shape)
            made = serializer.serialize_to_request(value, operation)
            body = made["body"]
            if isinstance(body, str):
                body = body.encode()
            line = {
                "target": made["headers"]["X-Amz-Target"],
                "type": made["headers"]["Content-Type"],
                "body": body.hex(),
                "plain": plain,
            }
            print(json.dumps(line))


def differences(shape, found, expected, path):
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if (name in found) != (name in expected):
                yield f"{path}.{name} is missing"
            elif name in found:
                yield from differences(member, found[name], expected[name], f"{path}.{name}")
        return
    if shape.type_name == "list":
        if len(found) != len(expected):
            yield f"{path} has {len(found)} elements"
        for index, (one, other) in enumerate(zip(found, expected)):
            yield from differences(shape.member, one, other, f"{path}[{index}]")
        return
    if shape.type_name == "blob":
        found = base64.b64encode(found).decode()
    if shape.type_name == "timestamp":
        found = round((found - EPOCH) / datetime.timedelta(milliseconds=1))
    if shape.name in SECRET_TEXTS:
        found = base64.b64encode(found.encode()).decode()
    if found != expected:
        yield f"{path}: {found!r} for {expected!r}"


def response(line):
    return {
        "status_code": line.get("status", 200),
        "headers": {"x-amzn-requestid": "id"},
        "body": bytes.fromhex(line["body"]),
    }


def answers():
    parser = botocore.parsers.create_parser("json")
    for text_line in sys.stdin:
        line = json.loads(text_line)
        shape = MODEL.operation_model(line["operation"]).output_shape
        parsed = parser.parse(response(line), shape)
        parsed.pop("ResponseMetadata")
        if shape is None:
            if parsed:
                print(f"{line['operation']}: {parsed}")
            continue
        for difference in differences(shape, parsed, line["plain"], line["operation"]):
            print(difference)


def errors():
    parser = botocore.parsers.create_parser("json")
    shape = MODEL.operation_model("Decrypt").output_shape
    for text_line in sys.stdin:
        print(json.dumps(parser.parse(response(json.loads(text_line)), shape)["Error"]))


if sys.argv[1] == "requests":
    requests(int(sys.argv[2]), int(sys.argv[3]))
elif sys.argv[1] == "answers":
    answers()
elif sys.argv[1] == "names":
    print("\n".join(MODEL.operation_names))
else:
    errors()
