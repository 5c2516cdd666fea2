"""Tink's envelope encryption with keyfold-serve as its KMS, and keysets under one of its keys.

The URL, an administrator's access key and its secret are arguments.
"""

import io
import os
import sys

import boto3
import tink
from tink import aead
from tink.integration import awskms

URL, ACCESS, SECRET = sys.argv[1:4]
PREFIX = "aws-kms://"
DATA = {
    "AES-256-GCM": aead.aead_key_templates.AES256_GCM,
    "AES-256-CTR-HMAC": aead.aead_key_templates.AES256_CTR_HMAC_SHA256,
    "XChaCha20-Poly1305": aead.aead_key_templates.XCHACHA20_POLY1305,
}

aead.register()
boto = boto3.client("kms", region_name="us-east-1", endpoint_url=URL, aws_access_key_id=ACCESS,
                    aws_secret_access_key=SECRET)


def key():
    return PREFIX + boto.create_key()["KeyMetadata"]["Arn"]


def refused(ask):
    try:
        ask()
    except tink.TinkError:
        return
    raise AssertionError("was not refused")


uri, other = key(), key()
remote = awskms.new_client(boto3_client=boto).get_aead(uri)
elsewhere = awskms.new_client(boto3_client=boto).get_aead(other)

# The key itself; associated data is an encryption context.
sealed = remote.encrypt(b"secret", b"data")
assert remote.decrypt(sealed, b"data") == b"secret"
context = {"associatedData": b"data".hex()}
assert boto.decrypt(CiphertextBlob=sealed, EncryptionContext=context)["Plaintext"] == b"secret"
refused(lambda: remote.decrypt(sealed, b"other"))
refused(lambda: elsewhere.decrypt(sealed, b"data"))
refused(lambda: awskms.new_client(boto3_client=boto, key_uri=uri).get_aead(other))
print("key")

plain = os.urandom(1_000_000)
for name, template in DATA.items():
    envelope = aead.KmsEnvelopeAead(template, remote)
    sealed = envelope.encrypt(plain, b"a file")
    assert envelope.decrypt(sealed, b"a file") == plain
    refused(lambda: envelope.decrypt(sealed, b"another"))
    refused(lambda: envelope.decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]), b"a file"))
    refused(lambda: aead.KmsEnvelopeAead(template, elsewhere).decrypt(sealed, b"a file"))
    print("envelope", name)

handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
sealed = handle.primitive(aead.Aead).encrypt(b"secret", b"")
kept = io.StringIO()
handle.write_with_associated_data(tink.JsonKeysetWriter(kept), remote, b"keyset")
again = tink.read_keyset_handle_with_associated_data(
    tink.JsonKeysetReader(kept.getvalue()), remote, b"keyset")
assert again.primitive(aead.Aead).decrypt(sealed, b"") == b"secret"
refused(lambda: tink.read_keyset_handle_with_associated_data(
    tink.JsonKeysetReader(kept.getvalue()), remote, b"another"))
print("keyset")

# The client that finds endpoint and credentials by itself, with keys in a registry.
os.environ.update(AWS_ENDPOINT_URL_KMS=URL, AWS_ACCESS_KEY_ID=ACCESS,
                  AWS_SECRET_ACCESS_KEY=SECRET)
awskms.AwsKmsClient.register_client(uri, None)
template = aead.aead_key_templates.create_kms_envelope_aead_key_template(
    uri, aead.aead_key_templates.AES256_GCM)
registered = tink.new_keyset_handle(template).primitive(aead.Aead)
assert registered.decrypt(registered.encrypt(plain, b"a"), b"a") == plain
print("registry")
