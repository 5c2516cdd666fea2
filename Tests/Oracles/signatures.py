"""Signatures of every algorithm of AWS KMS, verified by OpenSSL's command and Python's cryptography.

The URL of keyfold-serve, an administrator's access key and its secret are arguments. Prints a line
for each algorithm of each key, and who verified it.
"""

import hashlib
import os
import subprocess
import tempfile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from served import connect, put, refused

kms = connect()
MESSAGE = b"a message of some length" * 100
PSS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]


def by_command(algorithm, message):
    """Whether OpenSSL 3.0 takes the signature in `signature`; None for what it does not know."""
    put("message", message)
    size = algorithm[-3:]
    raw = ["pkeyutl", "-verify", "-pubin", "-inkey", "public", "-keyform", "DER", "-rawin", "-in",
           "message", "-sigfile", "signature"]
    digest = ["dgst", "-sha" + size, "-verify", "public", "-keyform", "DER", "-signature",
              "signature"]
    if algorithm.startswith(("RSASSA_PKCS", "ECDSA")):
        words = digest + ["message"]
    elif algorithm.startswith("RSASSA_PSS"):
        words = digest + PSS + ["message"]
    elif algorithm == "SM2DSA":
        words = raw + ["-digest", "sm3", "-pkeyopt", "distid:1234567812345678"]
    elif algorithm == "ED25519_SHA_512":
        words = raw
    else:
        return None
    done = subprocess.run(["openssl", *words], capture_output=True, timeout=60)
    return done.returncode == 0


def by_library(algorithm, public, signature, message):
    if algorithm in ("SM2DSA", "ED25519_PH_SHA_512"):
        return None
    key = serialization.load_der_public_key(public)
    hash = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[algorithm[-3:]]()
    if algorithm.startswith("RSASSA_PSS"):
        rest = (padding.PSS(padding.MGF1(hash), hash.digest_size), hash)
    elif algorithm.startswith("RSASSA"):
        rest = (padding.PKCS1v15(), hash)
    elif algorithm.startswith("ECDSA"):
        rest = (ec.ECDSA(hash),)
    else:
        rest = ()
    try:
        key.verify(signature, message, *rest)
    except InvalidSignature:
        return False
    return True


def digest_of(algorithm, public):
    """The message as a client hashes it, or None where there is no such way."""
    if algorithm in ("ED25519_SHA_512", "ML_DSA_SHAKE_256"):
        return None
    if algorithm == "SM2DSA":
        return sm2_digest(public)
    return hashlib.new("sha" + algorithm[-3:], MESSAGE).digest()


def sm2_digest(public):
    """SM3 of the signer's digest and the message (GB/T 32918.2, 5.5), with the usual identity."""
    def sm3(content):
        return subprocess.run(["openssl", "dgst", "-sm3", "-binary"], input=content, check=True,
                              capture_output=True).stdout
    # The curve's a, b and base point (GB/T 32918.5), then the public key's two coordinates.
    a = "fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc"
    b = "28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93"
    x = "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"
    y = "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
    signer = b"\x00\x801234567812345678" + bytes.fromhex(a + b + x + y) + public[-64:]
    return sm3(sm3(signer) + MESSAGE)


def check(spec, key, public, algorithm, kind, content):
    arguments = {"KeyId": key, "SigningAlgorithm": algorithm}
    if algorithm == "ED25519_PH_SHA_512" and kind == "RAW":
        refused("ValidationException", kms.sign, Message=content, MessageType=kind, **arguments)
        return
    signature = kms.sign(Message=content, MessageType=kind, **arguments)["Signature"]
    put("signature", signature)
    verified = [by_command(algorithm, MESSAGE), by_library(algorithm, public, signature, MESSAGE)]
    others = [by_command(algorithm, b"other"), by_library(algorithm, public, signature, b"other")]
    assert False not in verified and True not in others, (spec, algorithm, kind, verified, others)
    arguments.update(Signature=signature)
    assert kms.verify(Message=content, MessageType=kind, **arguments)["SignatureValid"]
    changed = bytes([content[0] ^ 1]) + content[1:]
    refused("KMSInvalidSignatureException", kms.verify, Message=changed, MessageType=kind,
            **arguments)
    names = [name for name, one in zip(("openssl", "cryptography"), verified) if one]
    print(spec, algorithm, kind, *(names or ["unverified"]))


def pairs():
    shape = kms.meta.service_model.shape_for("KeySpec")
    for spec in shape.enum:
        if spec.startswith(("SYMMETRIC", "HMAC", "ML_KEM")) or spec == "ML_DSA_44":
            continue
        metadata = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        key = metadata["KeyId"]
        public = put("public", kms.get_public_key(KeyId=key)["PublicKey"])
        with open(public, "rb") as file:
            public = file.read()
        for algorithm in metadata["SigningAlgorithms"]:
            check(spec, key, public, algorithm, "RAW", MESSAGE)
            digest = digest_of(algorithm, public)
            if digest is not None:
                check(spec, key, public, algorithm, "DIGEST", digest)


with tempfile.TemporaryDirectory() as place:
    os.chdir(place)
    pairs()
    os.chdir("/")
