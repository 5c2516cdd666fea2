"""botocore's KMS client against keyfold-serve: the URL, an access key and its secret are arguments.

Goes through what clients do with keys and prints what came of it, one line a step.
"""

import sys

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

URL, ACCESS, SECRET = sys.argv[1:4]


def client(region="us-east-1"):
    return botocore.session.get_session().create_client(
        "kms",
        region_name=region,
        endpoint_url=URL,
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        config=Config(retries={"max_attempts": 0}),
    )


def refused(name, ask):
    try:
        ask()
        print(name, "was not refused")
    except ClientError as error:
        print(name, error.response["Error"]["Code"])


kms = client()
key = kms.create_key(Description="of a test")["KeyMetadata"]
print("created", key["KeyState"], key["KeySpec"])
context = {"purpose": "test", "é": "ü"}
blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"secret", EncryptionContext=context)
answer = kms.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext=context)
print("decrypted", answer["Plaintext"].decode(), answer["KeyId"] == key["Arn"])
refused("context", lambda: kms.decrypt(CiphertextBlob=blob["CiphertextBlob"]))
data = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")
again = kms.decrypt(CiphertextBlob=data["CiphertextBlob"])
print("data key", len(data["Plaintext"]), again["Plaintext"] == data["Plaintext"])
signer = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
signature = kms.sign(KeyId=signer, Message=b"m", SigningAlgorithm="ECDSA_SHA_256")["Signature"]
valid = kms.verify(
    KeyId=signer, Message=b"m", Signature=signature, SigningAlgorithm="ECDSA_SHA_256"
)
print("signature", valid["SignatureValid"])
refused(
    "other message",
    lambda: kms.verify(
        KeyId=signer, Message=b"n", Signature=signature, SigningAlgorithm="ECDSA_SHA_256"
    ),
)
kms.disable_key(KeyId=key["KeyId"])
refused("disabled", lambda: kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x"))
print("elsewhere", len(client("eu-west-1").list_keys()["Keys"]))
refused("elsewhere", lambda: client("eu-west-1").describe_key(KeyId=key["KeyId"]))
