"""Master keys of the AWS Encryption SDK 3, before keyfold-serve: two keys, a context, cached data
keys, signed and committed messages. What this writes the newest version must open, and the reverse.

The URL, an administrator's access key and its secret are arguments. `write DIRECTORY` makes keys and
messages there; `read DIRECTORY` opens what the other version wrote with the same keys.
"""

import json
import os
import sys

import aws_encryption_sdk
import botocore.session
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import AlgorithmSuite, CommitmentPolicy

URL, ACCESS, SECRET, DEED, PLACE = sys.argv[1:6]
# Master keys take endpoint and credentials from the environment.
os.environ.update(AWS_ENDPOINT_URL_KMS=URL, AWS_ACCESS_KEY_ID=ACCESS,
                  AWS_SECRET_ACCESS_KEY=SECRET, AWS_DEFAULT_REGION="us-east-1")
CONTEXT = {"purpose": "a file", "é": "ü"}
PLAINTEXT = bytes(range(256)) * 12_000  # 3 MB
version = aws_encryption_sdk.__version__.split(".")[0]
session = botocore.session.get_session()
kms = session.create_client("kms")


def provider(*keys):
    return aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(
        key_ids=list(keys), botocore_session=session)


def client(policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT):
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)


def cached(keys, **limits):
    return aws_encryption_sdk.CachingCryptoMaterialsManager(
        master_key_provider=keys, cache=aws_encryption_sdk.LocalCryptoMaterialsCache(10),
        max_age=600.0, **limits)


def path(name):
    return os.path.join(PLACE, name)


def keys_of():
    """Two keys, made by the first that comes; JSON in the directory tells the other one."""
    if not os.path.exists(path("keys")):
        made = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
        with open(path("keys"), "w") as file:
            json.dump(made, file)
    with open(path("keys")) as file:
        return json.load(file)


def write():
    one, two = keys_of()
    # Streams, as files are: neither side ever has the whole.
    with open(path("plain"), "wb") as file:
        file.write(PLAINTEXT)
    with open(path("plain"), "rb") as source, open(path(f"stream-{version}"), "wb") as target:
        with client().stream(mode="e", source=source, key_provider=provider(one, two),
                             encryption_context=CONTEXT, frame_length=65536) as sealing:
            for piece in sealing:
                target.write(piece)
    suites = {
        "committed": AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        "signed": AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
        "plain": AlgorithmSuite.AES_256_GCM_IV12_TAG16_HKDF_SHA256,
    }
    for name, suite in suites.items():
        policy = (CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT if name == "plain"
                  else CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
        sealed, header = client(policy).encrypt(
            source=PLAINTEXT, key_provider=provider(one, two), encryption_context=CONTEXT,
            algorithm=suite)
        assert len(header.encrypted_data_keys) == 2
        with open(path(f"{name}-{version}"), "wb") as file:
            file.write(sealed)
    caching(one, two)


def caching(one, two):
    """One data key for the messages of one context, up to the limit; one call opens them all."""
    manager = cached(provider(one, two), max_messages_encrypted=3)
    sealed = [client().encrypt(source=b"short", materials_manager=manager,
                               encryption_context={"n": name}) for name in "aaaabb"]
    data_keys = [sorted(k.encrypted_data_key for k in header.encrypted_data_keys)
                 for _, header in sealed]
    # The fourth is over the limit of three, the fifth has another context.
    assert [data_keys.index(each) for each in data_keys] == [0, 0, 0, 3, 4, 4]
    asked = []
    session.register("before-call.kms", lambda model, **_: asked.append(model.name))
    opening = cached(provider(one))
    opening.master_key_provider.add_master_key(two)
    asked.clear()
    for message, _ in sealed:
        assert client().decrypt(source=message, materials_manager=opening)[0] == b"short"
    assert 0 < len(asked) <= 2 * 3, asked


def read():
    """Each message with each key alone; a changed byte and another key are refused."""
    one, two = keys_of()
    names = [name for name in sorted(os.listdir(PLACE)) if name[-2:] in ("-3", "-4")]
    policy = client(CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)
    for name in names:
        with open(path(name), "rb") as file:
            sealed = file.read()
        for key in (one, two):
            plain, header = policy.decrypt(source=sealed, key_provider=provider(key))
            assert plain == PLAINTEXT, name
            assert CONTEXT.items() <= header.encryption_context.items()
        changed = bytearray(sealed)
        changed[len(changed) // 2] ^= 1
        for source, key in ((bytes(changed), one), (sealed, stranger())):
            try:
                policy.decrypt(source=source, key_provider=provider(key))
            except Exception as error:  # a changed byte is an error of the library cryptography
                known = isinstance(error, AWSEncryptionSDKClientError)
                assert known or type(error).__name__ == "InvalidTag", repr(error)
            else:
                raise AssertionError(f"{name} was opened")
    print(version, "opened", *names)


def stranger():
    global other
    if not other:
        other = kms.create_key()["KeyMetadata"]["Arn"]
    return other


other = None
{"write": write, "read": read}[DEED]()
