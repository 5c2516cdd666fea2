"""The AWS Encryption SDK with keyfold-serve as its KMS: two keys, a context, cached data keys,
RSA, ECDH, multi-Region keys. The URL, an administrator's access key and its secret are arguments.
"""

import base64
import os
import sys

import aws_encryption_sdk
import boto3
import botocore.session
from aws_encryption_sdk.identifiers import AlgorithmSuite
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    CreateAwsKmsEcdhKeyringInput, CreateAwsKmsKeyringInput, CreateAwsKmsMrkKeyringInput,
    CreateAwsKmsRsaKeyringInput, CreateMultiKeyringInput,
    KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey,
    KmsEcdhStaticConfigurationsKmsPublicKeyDiscovery,
    KmsPrivateKeyToStaticPublicKeyInput, KmsPublicKeyDiscoveryInput)
from aws_cryptography_primitives.smithygenerated.aws_cryptography_primitives.models import (
    ECDHCurveSpec)

URL, ACCESS, SECRET = sys.argv[1:4]
CONTEXT = {"purpose": "a test"}
PLAINTEXT = b"a file's content" * 10_000


def client(region="us-east-1"):
    return boto3.client("kms", region_name=region, endpoint_url=URL, aws_access_key_id=ACCESS,
                        aws_secret_access_key=SECRET)


kms = client()
sdk = aws_encryption_sdk.EncryptionSDKClient()
library = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())


def make(**arguments):
    return kms.create_key(**arguments)["KeyMetadata"]["Arn"]


def keyring(arn, of=kms):
    return library.create_aws_kms_keyring(CreateAwsKmsKeyringInput(kms_key_id=arn, kms_client=of))


def round_trip(name, sealing, *opening):
    sealed, _ = sdk.encrypt(source=PLAINTEXT, keyring=sealing, encryption_context=CONTEXT)
    for ring in opening:
        plain, header = sdk.decrypt(source=sealed, keyring=ring, encryption_context=CONTEXT)
        assert plain == PLAINTEXT
    print(name)


one, two = make(), make()
both = library.create_multi_keyring(
    CreateMultiKeyringInput(generator=keyring(one), child_keyrings=[keyring(two)]))
round_trip("two keys", both, keyring(one), keyring(two))

rsa = make(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
public = kms.get_public_key(KeyId=rsa)["PublicKey"]
pem = b"-----BEGIN PUBLIC KEY-----\n%s-----END PUBLIC KEY-----\n" % base64.encodebytes(public)
ring = library.create_aws_kms_rsa_keyring(CreateAwsKmsRsaKeyringInput(
    kms_key_id=rsa, kms_client=kms, public_key=pem, encryption_algorithm="RSAES_OAEP_SHA_256"))
sealed, _ = sdk.encrypt(
    source=PLAINTEXT, keyring=ring, encryption_context=CONTEXT,
    algorithm=AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY)
assert sdk.decrypt(source=sealed, keyring=ring)[0] == PLAINTEXT
print("RSA")



def public_key(arn):
    return kms.get_public_key(KeyId=arn)["PublicKey"]


def ecdh(curve, static):
    return library.create_aws_kms_ecdh_keyring(CreateAwsKmsEcdhKeyringInput(
        kms_client=kms, curve_spec=curve, key_agreement_scheme=static))


for spec, curve in (("P256", ECDHCurveSpec.ECC_NIST_P256), ("P384", ECDHCurveSpec.ECC_NIST_P384),
                    ("P521", ECDHCurveSpec.ECC_NIST_P521)):
    sender, recipient = (
        make(KeySpec="ECC_NIST_" + spec, KeyUsage="KEY_AGREEMENT") for _ in range(2))
    from_us = ecdh(curve, KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey(
        KmsPrivateKeyToStaticPublicKeyInput(
            sender_kms_identifier=sender, sender_public_key=public_key(sender),
            recipient_public_key=public_key(recipient))))
    to_us = ecdh(curve, KmsEcdhStaticConfigurationsKmsPublicKeyDiscovery(
        KmsPublicKeyDiscoveryInput(recipient_kms_identifier=recipient)))
    round_trip("ECDH " + spec, from_us, from_us, to_us)

mrk = make(MultiRegion=True)
kms.replicate_key(KeyId=mrk, ReplicaRegion="eu-west-1")
there = mrk.replace("us-east-1", "eu-west-1")


def mrk_ring(arn, of):
    return library.create_aws_kms_mrk_keyring(
        CreateAwsKmsMrkKeyringInput(kms_key_id=arn, kms_client=of))


round_trip("multi-Region", mrk_ring(mrk, kms), mrk_ring(there, client("eu-west-1")))

# Master keys, the interface before keyrings, take endpoint and credentials from the environment.
os.environ.update(AWS_ENDPOINT_URL_KMS=URL, AWS_ACCESS_KEY_ID=ACCESS,
                  AWS_SECRET_ACCESS_KEY=SECRET)
provider = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(
    key_ids=[one], botocore_session=botocore.session.get_session())
caching = aws_encryption_sdk.CachingCryptoMaterialsManager(
    master_key_provider=provider, cache=aws_encryption_sdk.LocalCryptoMaterialsCache(10),
    max_age=60.0, max_messages_encrypted=100)
for _ in range(3):
    sealed, _ = sdk.encrypt(
        source=b"short", materials_manager=caching, encryption_context=CONTEXT)
    assert sdk.decrypt(source=sealed, materials_manager=caching)[0] == b"short"
print("cached data keys")
