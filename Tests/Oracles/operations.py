"""Every operation of AWS KMS through boto3, which validates requests and parses answers.

The URL of keyfold-serve, an administrator's access key and its secret are arguments. Prints the
operations that answered, one a line, and ends with what was refused though it should not be.
"""

import datetime
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL, ACCESS, SECRET = sys.argv[1:4]
seen = set()


class Client:
    """A boto3 client that notes which operations answered."""

    def __init__(self, region="us-east-1"):
        self.kms = boto3.client(
            "kms", region_name=region, endpoint_url=URL, aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET, config=Config(retries={"max_attempts": 0}))
        self.names = {name: operation
                      for name, operation in self.kms.meta.method_to_api_mapping.items()}

    def __getattr__(self, name):
        method = getattr(self.kms, name)

        def call(**arguments):
            answer = method(**arguments)
            seen.add(self.names[name])
            return answer

        return call

    def refused(self, code, name, **arguments):
        """An operation that must answer with this exception: that is an answer, too."""
        try:
            getattr(self.kms, name)(**arguments)
        except ClientError as error:
            assert error.response["Error"]["Code"] == code, (name, error)
            seen.add(self.names[name])
            return
        raise AssertionError(f"{name} was not refused")


kms = Client()


def make(**arguments):
    return kms.create_key(**arguments)["KeyMetadata"]


def symmetric():
    key = make(Description="one", Tags=[{"TagKey": "team", "TagValue": "a"}])
    id, arn = key["KeyId"], key["Arn"]
    account = key["AWSAccountId"]
    kms.describe_key(KeyId=id)
    kms.update_key_description(KeyId=id, Description="two")
    kms.tag_resource(KeyId=id, Tags=[{"TagKey": "x", "TagValue": "y"}])
    kms.untag_resource(KeyId=id, TagKeys=["team"])
    assert kms.list_resource_tags(KeyId=id)["Tags"] == [{"TagKey": "x", "TagValue": "y"}]
    kms.create_alias(AliasName="alias/one", TargetKeyId=id)
    kms.update_alias(AliasName="alias/one", TargetKeyId=id)
    assert any(a["AliasName"] == "alias/one" for a in kms.list_aliases()["Aliases"])
    assert id in [k["KeyId"] for k in kms.list_keys()["Keys"]]
    context = {"purpose": "test"}
    blob = kms.encrypt(KeyId="alias/one", Plaintext=b"p", EncryptionContext=context)
    opened = kms.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == b"p" and opened["KeyMaterialId"]
    other = make()["KeyId"]
    moved = kms.re_encrypt(
        CiphertextBlob=blob["CiphertextBlob"], SourceEncryptionContext=context,
        DestinationKeyId=other)
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"p"
    data = kms.generate_data_key(KeyId=id, NumberOfBytes=64)
    assert kms.decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"] == data["Plaintext"]
    kms.generate_data_key_without_plaintext(KeyId=id, KeySpec="AES_128")
    kms.generate_data_key_pair(KeyId=id, KeyPairSpec="ECC_NIST_P384")
    kms.generate_data_key_pair_without_plaintext(KeyId=id, KeyPairSpec="RSA_2048")
    assert len(kms.generate_random(NumberOfBytes=7)["Plaintext"]) == 7
    kms.enable_key_rotation(KeyId=id, RotationPeriodInDays=90)
    assert kms.get_key_rotation_status(KeyId=id)["RotationPeriodInDays"] == 90
    kms.disable_key_rotation(KeyId=id)
    kms.rotate_key_on_demand(KeyId=id)
    assert len(kms.list_key_rotations(KeyId=id)["Rotations"]) == 1
    assert kms.get_key_last_usage(KeyId=id)["KeyLastUsage"]["Operation"]
    policy = kms.get_key_policy(KeyId=id, PolicyName="default")["Policy"]
    assert json.loads(policy)["Statement"]
    kms.put_key_policy(KeyId=id, PolicyName="default", Policy=policy)
    assert kms.list_key_policies(KeyId=id)["PolicyNames"] == ["default"]
    root = f"arn:aws:iam::{account}:root"
    grant = kms.create_grant(
        KeyId=id, GranteePrincipal=root, RetiringPrincipal=root, Operations=["Decrypt"])
    assert len(kms.list_grants(KeyId=id)["Grants"]) == 1
    assert len(kms.list_retirable_grants(RetiringPrincipal=root)["Grants"]) == 1
    kms.retire_grant(KeyId=arn, GrantId=grant["GrantId"])
    again = kms.create_grant(KeyId=id, GranteePrincipal=root, Operations=["Encrypt"])
    kms.revoke_grant(KeyId=id, GrantId=again["GrantId"])
    kms.refused("DryRunOperationException", "encrypt", KeyId=id, Plaintext=b"x", DryRun=True)
    kms.delete_alias(AliasName="alias/one")
    kms.disable_key(KeyId=id)
    kms.refused("DisabledException", "encrypt", KeyId=id, Plaintext=b"x")
    kms.enable_key(KeyId=id)
    assert kms.schedule_key_deletion(KeyId=id, PendingWindowInDays=7)["DeletionDate"]
    kms.cancel_key_deletion(KeyId=id)


def pairs():
    message = b"message"
    digest = hashlib.sha256(message).digest()
    for spec, algorithm in [("RSA_2048", "RSASSA_PSS_SHA_256"), ("ECC_NIST_P256", "ECDSA_SHA_256")]:
        key = make(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyId"]
        raw = kms.sign(KeyId=key, Message=message, SigningAlgorithm=algorithm)["Signature"]
        kms.verify(KeyId=key, Message=digest, MessageType="DIGEST", Signature=raw,
                   SigningAlgorithm=algorithm)
        kms.refused("KMSInvalidSignatureException", "verify", KeyId=key, Message=b"other",
                    Signature=raw, SigningAlgorithm=algorithm)
        check_with_cryptography(kms.get_public_key(KeyId=key)["PublicKey"], spec, raw, message)
    rsa = make(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyId"]
    sealed = kms.encrypt(KeyId=rsa, Plaintext=b"p", EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    assert kms.decrypt(KeyId=rsa, CiphertextBlob=sealed["CiphertextBlob"],
                       EncryptionAlgorithm="RSAES_OAEP_SHA_256")["Plaintext"] == b"p"
    mac = make(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    code = kms.generate_mac(KeyId=mac, Message=message, MacAlgorithm="HMAC_SHA_256")["Mac"]
    assert kms.verify_mac(KeyId=mac, Message=message, Mac=code, MacAlgorithm="HMAC_SHA_256")["MacValid"]
    ours, theirs = (make(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyId"]
                    for _ in range(2))
    secrets = [
        kms.derive_shared_secret(
            KeyId=a, KeyAgreementAlgorithm="ECDH",
            PublicKey=kms.get_public_key(KeyId=b)["PublicKey"])["SharedSecret"]
        for a, b in ((ours, theirs), (theirs, ours))]
    assert secrets[0] == secrets[1]
    if "encapsulate" in kms.names:
        kem = make(KeySpec="ML_KEM_768", KeyUsage="ENCAPSULATE_DECAPSULATE")["KeyId"]
        made = kms.encapsulate(KeyId=kem, EncapsulationAlgorithm="ML_KEM")
        got = kms.decapsulate(
            KeyId=kem, EncapsulationAlgorithm="ML_KEM",
            SharedSecretCiphertextBlob=made["SharedSecretCiphertextBlob"])
        assert made["SharedSecret"] == got["SharedSecret"]


def check_with_cryptography(public_key, spec, signature, message):
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    key = serialization.load_der_public_key(public_key)
    if spec.startswith("RSA"):
        key.verify(signature, message, padding.PSS(padding.MGF1(hashes.SHA256()), 32),
                   hashes.SHA256())
    else:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))


def imports():
    key = make(Origin="EXTERNAL")["KeyId"]
    parameters = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_4096")
    with tempfile.TemporaryDirectory() as place:
        with open(place + "/public", "wb") as file:
            file.write(parameters["PublicKey"])
        with open(place + "/material", "wb") as file:
            file.write(os.urandom(32))
        wrapped = subprocess.run(
            ["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", place + "/public", "-keyform",
             "DER", "-in", place + "/material", "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt",
             "rsa_oaep_md:sha256"], check=True, capture_output=True).stdout
    arguments = {"KeyId": key, "ImportToken": parameters["ImportToken"],
                 "EncryptedKeyMaterial": wrapped,
                 "ValidTo": datetime.datetime.now() + datetime.timedelta(days=9)}
    kms.import_key_material(**arguments)
    blob = kms.encrypt(KeyId=key, Plaintext=b"p")["CiphertextBlob"]
    kms.delete_imported_key_material(KeyId=key)
    kms.refused("KMSInvalidStateException", "decrypt", CiphertextBlob=blob)
    kms.import_key_material(**arguments)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"p"


def regions():
    key = make(MultiRegion=True)["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"p")["CiphertextBlob"]
    kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    there = Client("eu-west-1")
    assert there.decrypt(CiphertextBlob=blob)["Plaintext"] == b"p"
    kms.update_primary_region(KeyId=key, PrimaryRegion="eu-west-1")
    configuration = there.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]
    assert configuration["MultiRegionKeyType"] == "PRIMARY"


def key_stores():
    missing = {"CustomKeyStoreId": "cks-00000000000000000"}
    for name in ("connect", "disconnect", "update", "delete"):
        kms.refused("CustomKeyStoreNotFoundException", name + "_custom_key_store", **missing)
    kms.refused(
        "CloudHsmClusterNotFoundException", "create_custom_key_store", CustomKeyStoreName="s",
        CloudHsmClusterId="cluster-abcdefghijk", TrustAnchorCertificate="c",
        KeyStorePassword="password")
    assert kms.describe_custom_key_stores()["CustomKeyStores"] == []


for part in (symmetric, pairs, imports, regions, key_stores):
    part()
print("\n".join(sorted(set(kms.names.values()) - seen)) or "every operation answered")
